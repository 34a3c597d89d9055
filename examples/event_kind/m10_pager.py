"""An event kind of one's own: `pager:NAME` events become form posts, as an old paging gateway takes them.

Installed beside m10actors it is found by its entry point, and an action can be mapped to it:

    [actions.notify_ops]
    event = "pager:night"
    destination = "gateway"
    template = { to = "ops" }
"""

import json
from urllib.parse import urlencode

from m10actors.delivery import Event, Request, Undeliverable


def request(event: Event) -> Request:
    data = json.loads(event.payload)["data"]
    if "to" not in data["template"]:
        raise Undeliverable("invalid_payload", "the template names nobody to page")
    text = f"{data['action']}: {data['failure']['code']} seen {data['failure']['occurrences']} times"
    form = urlencode({"to": data["template"]["to"], "text": text})
    return Request(form.encode(), headers={"content-type": "application/x-www-form-urlencoded"})
