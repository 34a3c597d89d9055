"""What an event becomes: pure, exact and the same every time."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from m10actors.delivery.compose import Call, Notice, compose
from m10actors.delivery.destination import Destination, InvalidDestination, Url
from m10actors.delivery.errors import Undeliverable
from m10actors.delivery.event import Event

DESTINATIONS = {
    each.name: each
    for each in (
        Destination("ops", "https://ops.example/hook?x=1", headers={"Authorization": "Bearer configured"}),
        Destination("audit", "https://ops.example/audit"),
        Destination("slack", "https://hooks.slack.example/services/T0/B0/secret"),
    )
}


def event(event_type: str, payload: str, destination: str | None = None) -> Event:
    return Event(7, UUID(int=7), "candidate", "42", event_type, payload.encode(), destination, 0, "0" * 32)


def composed(event_type: str, payload: str, destination: str | None = None) -> Call:
    call = compose(event(event_type, payload, destination), DESTINATIONS)
    assert isinstance(call, Call)
    return call


def refusal(event_type: str, payload: str, destination: str | None = None) -> str:
    with pytest.raises(Undeliverable) as refused:
        compose(event(event_type, payload, destination), DESTINATIONS)
    return refused.value.reason


@pytest.mark.parametrize(
    "data",
    [
        '{"amount": 12345678901234567890.1234567890, "rate": 1.10}',
        '[1, 2, {"b": 1, "a": 2}]',
        '"grün \\u2028 \\"quoted\\", {\\"not\\": \\"a member\\"}"',
        "1e400",
        "9" * 5_000,
        "null",
    ],
)
def test_a_body_is_the_text_that_postgresql_printed(data: str) -> None:
    call = composed("webhook:recovery", f'{{"n": 1, "data": {data}, "webhook_url": "https://ops.example/hook/any"}}')
    assert call.body == data.encode()


def test_a_body_is_found_whatever_the_spaces() -> None:
    payload = '\n{ "destination":[{"data":"no"}] ,\t"data" :  {"yes":true}  }\n'
    assert composed("webhook:x", payload, "ops").body == b'{"yes":true}'


def test_a_webhook_with_a_destination_goes_to_the_address_of_that_destination() -> None:
    call = composed("webhook:recovery", '{"data": {}, "webhook_url": "https://elsewhere.example/"}', "ops")
    assert (call.url.authority, call.url.target, call.method) == ("ops.example", "/hook?x=1", "POST")


def test_an_url_of_a_payload_needs_a_destination_with_its_scheme_host_and_port() -> None:
    call = composed("webhook:x", '{"data": 1, "webhook_url": "HTTPS://OPS.example:443/hook/path"}')
    assert call.url.target == "/hook/path"
    for url in (
        "http://ops.example/",
        "https://ops.example:8443/",
        "https://ops.example.evil/",
        "https://evil/ops.example",
    ):
        assert refusal("webhook:x", json.dumps({"data": 1, "webhook_url": url})) == "destination_not_allowed"


def test_of_two_destinations_with_one_origin_the_one_that_covers_the_path_is_taken() -> None:
    assert composed("webhook:x", '{"data": 1, "webhook_url": "https://ops.example/audit"}').destination.name == "audit"
    assert composed("webhook:x", '{"data": 1, "webhook_url": "https://ops.example/hook/a"}').destination.name == "ops"


@pytest.mark.parametrize("path", ["other", "hooks", "hook/../other", "hook/%2e%2e/other", ""])
def test_another_path_of_a_shared_host_is_another_receiver(path: str) -> None:
    payload = json.dumps({"data": 1, "webhook_url": f"https://ops.example/{path}"})
    assert refusal("webhook:x", payload) == "destination_not_allowed"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "ftp://ops.example/",
        "file:///etc/passwd",
        "javascript:1",
        "https://",
        "https://user@ops.example/",
        "https://ops.example:99999/",
        "https://ops.example\r\n.evil/",
        " https://ops.example/",
        "https://ops。example/",
        "https://[::1/",
    ],
)
def test_an_url_that_is_none_is_not_allowed(url: str) -> None:
    assert refusal("http:call", json.dumps({"url": url})) == "destination_not_allowed"


def test_a_destination_that_is_not_configured_is_not_allowed() -> None:
    assert refusal("webhook:x", '{"data": 1}', "unknown") == "destination_not_allowed"
    assert refusal("webhook:x", '{"data": 1}') == "destination_not_allowed"
    with pytest.raises(Undeliverable, match="destination_not_allowed"):
        compose(event("notify:x", '{"channel": "slack", "text": "hello"}'), {})


@pytest.mark.parametrize("event_type", ["", "http", "webhook", "email:x", "HTTP:x", ":x"])
def test_an_unknown_type_is_not_silently_done(event_type: str) -> None:
    assert refusal(event_type, "{}") == "unknown_event_type"


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        ("webhook:x", "[]"),
        ("webhook:x", "{}"),
        ("webhook:x", '{"data": '),
        ("webhook:x", '{"data": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("http:x", '{"url": ["https://ops.example/hook/"]}'),
        ("http:x", '{"url": "https://ops.example/hook/", "method": "CONNECT"}'),
        ("http:x", '{"url": "https://ops.example/hook/", "headers": ["a"]}'),
        ("http:x", '{"url": "https://ops.example/hook/", "headers": {"a": "b\\r\\nc: d"}}'),
        ("http:x", '{"url": "https://ops.example/hook/", "headers": {"a b": "c"}}'),
        ("http:x", '{"url": "https://ops.example/hook/", "headers": {"": "c"}}'),
        ("http:x", '{"url": "https://ops.example/hook/", "body": "\\ud800"}'),
        ("notify:x", '{"channel": "pager"}'),
        ("notify:x", "{}"),
    ],
)
def test_a_payload_that_makes_no_request_says_so(event_type: str, payload: str) -> None:
    assert refusal(event_type, payload) == "invalid_payload"


@pytest.mark.parametrize(
    ("body", "sent"),
    [('"plain text"', b"plain text"), ('{"a": 1.0}', b'{"a": 1.0}'), ("5", b"5"), ("null", b""), (None, b"")],
)
def test_a_text_is_sent_as_text_and_anything_else_as_json(body: str | None, sent: bytes) -> None:
    member = "" if body is None else f', "body": {body}'
    assert composed("http:x", f'{{"method": "put", "url": "https://ops.example/hook/"{member}}}').body == sent


def test_headers_of_a_payload_give_way_to_the_configuration_and_to_the_protocol() -> None:
    wanted = {
        "authorization": "Bearer stolen",
        "HOST": "evil",
        "Idempotency-Key": "mine",
        "content-type": "text/plain",
        "X-A": "b",
    }
    call = composed("http:x", json.dumps({"url": "https://ops.example/hook?x=1", "headers": wanted}))
    assert call.headers == {
        "content-type": "text/plain",
        "user-agent": "m10actors",
        "x-a": "b",
        "authorization": "Bearer configured",
    }


def test_a_notice_goes_to_the_log_or_to_slack() -> None:
    assert compose(event("notify:ops", '{"channel": "log", "text": "look"}'), {}) == Notice("look")
    call = composed("notify:ops", '{"channel": "slack", "message": "look"}')
    assert (call.destination.name, call.body) == ("slack", b'{"text": "look"}')
    whole = '{"channel": "slack", "candidate": 1}'
    assert json.loads(composed("notify:ops", whole).body) == {"text": whole}


def test_what_could_be_a_credential_is_not_in_the_repr() -> None:
    made = Destination("a", "https://h/path-secret", headers={"X": "header-secret"}, secrets=("whsec_c2VjcmV0",))
    assert "secret" not in repr(made).replace("secrets", "")
    assert "c2VjcmV0" not in repr(made)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": "http://h/"}, "allow_http"),
        ({"url": "https://user:pw@h/"}, "user name"),
        ({"url": "https://h/ a"}, "printable"),
        ({"url": "https://１２７.0.0.1/"}, "printable"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"headers": {"a": "b\nc"}}, "header"),
        ({"headers": {"": "b"}}, "header"),
        ({"secrets": ("whsec_!",)}, "secret"),
        ({"secrets": ("",)}, "secret"),
    ],
)
def test_a_destination_that_cannot_work_is_refused_when_it_is_made(wrong: dict[str, object], message: str) -> None:
    values: dict[str, object] = {"name": "a", "url": "https://h/"} | wrong
    with pytest.raises(InvalidDestination, match=message):
        Destination(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "authority", "target"),
    [
        ("https://h", "h", "/"),
        ("https://h:443/a#b", "h", "/a"),
        ("http://h:8080?q", "h:8080", "/?q"),
        ("http://[2001:DB8::1]:81/", "[2001:db8::1]:81", "/"),
        ("https://H.Example./", "h.example", "/"),
    ],
)
def test_an_url_is_taken_apart_once(text: str, authority: str, target: str) -> None:
    url = Url.parse(text)
    assert (url.authority, url.target) == (authority, target)
