"""Who may be asked for by which name: the guard against DNS rebinding and requests from foreign web pages."""

import ipaddress
import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from m10actors.web.errors import Refusal

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::[0-9]{1,5})?")


class HostGuard:
    """ASGI middleware, the outermost: lets a request through if `refusal` has nothing against it."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(host.lower() for host in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        server = scope.get("server") or ("", None)
        found = refusal(headers.get("host", ""), headers.get("origin"), str(server[0]), self._allowed)
        await (self._app if found is None else found.response())(scope, receive, send)


def refusal(host: str, origin: str | None, own_address: str, allowed: frozenset[str]) -> Refusal | None:
    """Why a request with this Host and Origin is not answered; None if it is.

    Answered are names of loopback with any port, the `allowed` ones (with or without a port, in lower case), and the
    address itself that the connection came in at: a page that rebinds a name cannot send an address as its Host.
    """
    host = host.lower()
    form = _HOST.fullmatch(host)
    name = form[1].strip("[]") if form else ""
    if not (form and (_is_loopback(name) or name == own_address or not allowed.isdisjoint({host, form[1]}))):
        return Refusal(421, "host_not_allowed", "the Host header is no name of this service: see http.allowed_hosts")
    if origin is not None and origin.lower().partition("://")[2] != host:
        return Refusal(403, "origin_not_allowed", "the Origin header is not the Host that was asked")
    return None


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
