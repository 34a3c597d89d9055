"""From an event to what is sent: pure, so that every attempt sends the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from m10actors.delivery.destination import Destination, Url, bad_header
from m10actors.delivery.errors import Undeliverable
from m10actors.delivery.event import Event
from m10actors.delivery.kinds import NO_KINDS, EventKind, Request
from m10actors.delivery.payload import Payload
from m10actors.delivery.text import excerpt

SLACK = "slack"
"""The name of the destination that `notify:*` events with channel slack go to."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# What the transport or the protocol of delivery decides, whatever a payload or a destination asks for.
_OURS = frozenset(("host", "content-length", "transfer-encoding", "te", "trailer", "connection", "upgrade", "expect"))
_OURS |= {"accept-encoding", "idempotency-key", "m10-fencing-token"}
_OURS |= {"webhook-id", "webhook-timestamp", "webhook-signature"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make, as far as event and configuration determine it. Names of headers are in lower case."""

    destination: Destination
    url: Url
    method: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """A `notify:*` event for the log: nothing is sent."""

    text: str


def compose(
    event: Event, destinations: Mapping[str, Destination], kinds: Mapping[str, EventKind] = NO_KINDS
) -> Call | Notice:
    """What delivering `event` means; Undeliverable with the reason of the dead letter if it can mean nothing."""
    kind, colon, _ = event.event_type.partition(":")
    match kind if colon else "":
        case "http":
            return _http(event, Payload.read(event.payload), destinations)
        case "webhook":
            return _webhook(event, Payload.read(event.payload), destinations)
        case "notify":
            return _notify(event, Payload.read(event.payload), destinations)
        case registered if registered in kinds:
            return _of_kind(event, kinds[registered], destinations)
        case _:
            raise Undeliverable("unknown_event_type", excerpt(event.event_type))


def _http(event: Event, payload: Payload, destinations: Mapping[str, Destination]) -> Call:
    method = (payload.text("method") or "POST").upper()
    if method not in _METHODS:
        raise Undeliverable("invalid_payload", f"method {excerpt(method)}")
    headers = payload.values.get("headers") or {}
    if not isinstance(headers, dict) or bad_header(headers.items()) is not None:
        raise Undeliverable("invalid_payload", "headers are not names and texts")
    match payload.values.get("body"):
        case None:
            body = ""
        case str(text) if payload.texts["body"].startswith('"'):
            body = text
        case _:
            body = payload.texts["body"]
    return _call(*_place(event, payload.text("url"), destinations), method, headers, body)


def _webhook(event: Event, payload: Payload, destinations: Mapping[str, Destination]) -> Call:
    if "data" not in payload.texts:
        raise Undeliverable("invalid_payload", "no data")
    return _call(*_place(event, payload.text("webhook_url"), destinations), "POST", {}, payload.texts["data"])


def _notify(event: Event, payload: Payload, destinations: Mapping[str, Destination]) -> Call | Notice:
    text = payload.text("text") or payload.text("message") or event.payload.decode()
    match payload.text("channel"):
        case "log":
            return Notice(text)
        case "slack" if SLACK in destinations:
            slack = destinations[SLACK]
            return _call(slack, slack.address, "POST", {}, json.dumps({"text": text}))
        case "slack":
            raise Undeliverable("destination_not_allowed", "no destination slack")
        case _:
            raise Undeliverable("invalid_payload", "channel is neither log nor slack")


def _of_kind(event: Event, kind: EventKind, destinations: Mapping[str, Destination]) -> Call:
    """A kind of a user has a say in the request, and none in where it goes."""
    destination, url = _place(event, None, destinations)
    try:
        made = _checked(kind(event))
    except Undeliverable:
        raise
    except Exception as error:  # the edge of a guest: one that raises costs its event, not the worker
        raise Undeliverable("event_kind_failed", excerpt(f"{type(error).__name__}: {error}")) from error
    return _call(destination, url, made.method, made.headers, made.body)


def _checked(made: object) -> Request:
    """What a guest made, which its annotations do not hold it to."""
    if isinstance(made, Request):
        body: object = made.body
        if isinstance(body, bytes) and made.method in _METHODS and bad_header(made.headers.items()) is None:
            return made
    raise Undeliverable("event_kind_failed", "no Request with bytes as body, a known method and proper headers")


def _place(event: Event, url: str | None, destinations: Mapping[str, Destination]) -> tuple[Destination, Url]:
    """The event's own destination and its address; else the url of the payload, if a destination covers it."""
    if event.destination is not None:
        if event.destination not in destinations:
            raise Undeliverable("destination_not_allowed", f"no destination {excerpt(event.destination)}")
        return destinations[event.destination], destinations[event.destination].address
    try:
        wanted = Url.parse(url or "")
    except ValueError as error:
        raise Undeliverable("destination_not_allowed", "the payload has no usable url") from error
    covering = [each for each in destinations.values() if _covers(each.address, wanted)]
    if not covering:
        raise Undeliverable("destination_not_allowed", excerpt(f"{wanted.scheme}://{wanted.authority}"))
    return max(covering, key=lambda each: len(each.address.target)), wanted


def _covers(allowed: Url, wanted: Url) -> bool:
    """Whether `wanted` is `allowed` or lies below its path: on a shared host another path is another receiver."""
    path, asked = allowed.target.partition("?")[0], wanted.target.partition("?")[0]
    below = asked.startswith(path if path.endswith("/") else f"{path}/") and ".." not in unquote(asked).split("/")
    return allowed.origin == wanted.origin and (wanted.target == allowed.target or below)


def _call(destination: Destination, url: Url, method: str, headers: Mapping[str, str], body: str | bytes) -> Call:
    """Headers of the payload give way to those of the destination, and both to the ones that the protocol needs."""
    wanted = {"content-type": "application/json", "user-agent": "m10actors"}
    for each in (headers, destination.headers):
        wanted |= {name.lower(): value for name, value in each.items() if name.lower() not in _OURS}
    try:
        return Call(destination, url, method, wanted, body.encode() if isinstance(body, str) else body)
    except UnicodeEncodeError as error:
        raise Undeliverable("invalid_payload", "text that is not Unicode") from error
