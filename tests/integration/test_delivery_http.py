"""Deliveries over real sockets: what is sent, and what receivers of every kind do to it."""

import gzip
import socket
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from delivery_kit import (
    answers,
    delivered_to,
    deliverer,
    destination,
    event,
    proxy_before,
    raw_server,
    read_request,
    silent,
    unanswered,
    url_of,
)
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from m10actors.delivery import Dead, Delivered, ReceiverAhead, Retry
from m10actors.testing.failpoints import armed
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.receiver import Answer, Fence, Receiver, Request
from m10actors.testing.waiting import eventually

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_a_request_says_which_event_it_is_and_who_sends_it() -> None:
    seen: list[Request] = []
    with Receiver(on_delivery=lambda request, _: seen.append(request)) as receiver:
        assert delivered_to(receiver.url + "hook?a=b", headers={"X-Team": "ops"}) == Delivered(200, False, "")
    (request,) = seen
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=b", b'{"n": 1.10}')
    assert dict(request.headers.items()) == {
        "host": receiver.url.removeprefix("http://").rstrip("/"),
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "m10actors",
        "x-team": "ops",
        "idempotency-key": f"{1:032x}",
        "m10-fencing-token": "3",
        "content-length": "11",
    }


def test_signatures_are_verified_by_the_library_with_each_secret_of_a_rotation() -> None:
    seen: list[Request] = []
    with Receiver(on_delivery=lambda request, _: seen.append(request)) as receiver:
        delivered_to(receiver.url, secrets=(NEW, OLD))
    (request,) = seen
    headers = dict(request.headers.items())
    assert headers["webhook-id"] == "00000000-0000-0000-0000-000000000001"
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(request.body, headers) == {"n": 1.1}
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b3RoZXI=").verify(request.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(request.body + b" ", headers)


def test_a_signature_is_dated_by_the_attempt_and_the_body_stays_the_same() -> None:
    seen: list[Request] = []
    times = iter(datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(24))
    with (
        Receiver(on_delivery=lambda request, _: seen.append(request)) as receiver,
        deliverer(destination(receiver.url, secrets=(NEW,)), now=lambda: next(times)) as to,
    ):
        to.deliver(event(), 1)
        to.deliver(event(), 2)
    first, second = seen
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert (first.key, first.body, first.headers["webhook-id"]) == (
        second.key,
        second.body,
        second.headers["webhook-id"],
    )
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(NEW).verify(first.body, dict(first.headers.items()))


def test_one_connection_carries_many_events() -> None:
    with Receiver() as receiver, proxy_before(receiver) as proxy:
        with deliverer(destination(url_of(proxy))) as to:
            for id in range(1, 21):  # noqa: A001
                assert isinstance(to.deliver(event(id), 1), Delivered)
        assert (proxy.accepted, len(receiver.ledger.taken())) == (1, 20)


def test_an_answer_becomes_its_outcome() -> None:
    answer = Answer(503, {"Retry-After": "7"}, b"back\nsoon")
    with Receiver(answer=lambda _: answer) as receiver:
        assert delivered_to(receiver.url) == Retry(r"http_503: back\nsoon", True, timedelta(seconds=7), 503)
        receiver.answer = lambda _: Answer(410, body=b"gone")
        assert delivered_to(receiver.url) == Dead("http_410", 410, "gone", pause_destination=True)
        receiver.answer = lambda _: Answer(409)
        assert delivered_to(receiver.url, on_conflict="delivered") == Delivered(409, False, "")
        receiver.answer = lambda _: Answer(202, body=b'{"status": "running"}')
        assert delivered_to(receiver.url) == Delivered(202, True, '{"status": "running"}')


def test_a_receiver_that_fences_refuses_an_older_epoch() -> None:
    with Receiver(answer=Fence()) as receiver, deliverer(destination(receiver.url)) as to:
        assert isinstance(to.deliver(event(1), epoch=5), Delivered)
        assert to.deliver(event(2), epoch=4) == ReceiverAhead(412, "")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with Receiver() as elsewhere, Receiver(answer=lambda _: Answer(status, {"Location": elsewhere.url})) as receiver:
        assert delivered_to(receiver.url) == Retry(f"http_{status}", counted=True, status=status)
        assert elsewhere.ledger.total == 0


def test_a_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert isinstance(delivered_to(receiver.url), Delivered)
        assert (proxy.ledger.total, receiver.ledger.total) == (0, 1)


def test_cookies_are_not_kept() -> None:
    seen: list[Request] = []
    set_cookie = Answer(headers={"Set-Cookie": "a=b"})
    with (
        Receiver(answer=lambda _: set_cookie, on_delivery=lambda request, _: seen.append(request)) as receiver,
        deliverer(destination(receiver.url)) as to,
    ):
        to.deliver(event(1), 1)
        to.deliver(event(2), 1)
    assert [request.headers["cookie"] for request in seen] == [None, None]


@pytest.mark.parametrize("answer", [Answer(body=b"x" * 400, drip=0.05), Answer(never=True)])
def test_a_receiver_that_drips_or_is_silent_is_held_to_the_total_deadline(answer: Answer) -> None:
    """Each byte comes well within the timeout; only a deadline for all of them gives this outcome."""
    with Receiver(answer=lambda _: answer) as receiver:
        assert delivered_to(receiver.url, seconds=0.4) == unanswered("deadline")
        assert receiver.ledger.total == 1


def test_a_request_that_is_not_read_is_held_to_the_deadline_too() -> None:
    done = threading.Event()
    with raw_server(silent(done)) as url, deliverer(destination(url, seconds=0.4)) as to:
        assert to.deliver(event(payload=b'{"data": "' + b"x" * 16_000_000 + b'"}'), 1) == unanswered("deadline")
        done.set()


def test_a_compressed_answer_is_not_decoded() -> None:
    bomb = gzip.compress(b'{"status": "running"}' + b" " * 50_000_000)
    with Receiver(answer=lambda _: Answer(headers={"Content-Encoding": "gzip"}, body=bomb)) as receiver:
        outcome = delivered_to(receiver.url)
    assert isinstance(outcome, Delivered)
    assert not outcome.running
    assert outcome.excerpt.startswith(r"\x1f")


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "script",
    [
        answers(OK + b"\r\n", b"x" * 65536, forever=True),
        answers(OK + CHUNKED, b"ffff\r\n" + b"x" * 65535 + b"\r\n", forever=True),
        answers(OK + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536, forever=True),
    ],
)
def test_of_an_endless_body_64_kb_are_read(script: Callable[[socket.socket], None]) -> None:
    with raw_server(script) as url:
        assert delivered_to(url) == Delivered(200, False, "x" * 200)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (answers(OK, b"a: b\r\n", forever=True), "bad_answer: HTTPException"),
        (answers(OK + b"a: ", b"x" * 65536, forever=True), "bad_answer: LineTooLong"),
        (answers(b"HTTP/1.1 100 Continue\r\n\r\n", forever=True), "answer_too_long"),
        (answers(OK + CHUNKED, b"1;" + b"x" * 60000 + b"\r\nx\r\n", forever=True), "answer_too_long"),
        (answers(OK + CHUNKED + b"-5\r\nhello"), "bad_answer: ValueError"),
        (answers(OK + CHUNKED + b"zz\r\n"), "bad_answer: IncompleteRead"),
        (answers(OK + b"Content-Length: 10\r\n\r\nshort"), "answer_cut_off"),
        (answers(b"SSH-2.0-OpenSSH_9.6\r\n"), "bad_answer: BadStatusLine"),
        (answers(b""), "closed_without_answer"),
    ],
)
def test_an_answer_that_is_none_is_retried_and_counted(script: Callable[[socket.socket], None], error: str) -> None:
    with raw_server(script) as url:
        assert delivered_to(url) == unanswered(error)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    with raw_server(answers(b"HTTP/1.0 200 OK\r\n\r\n", b'{"status": ', b'"running"}')) as url:
        assert delivered_to(url) == Delivered(200, True, '{"status": "running"}')


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    first = answers(OK + b"Content-Length: 0\r\n\r\n")
    with raw_server(first, first) as url, deliverer(destination(url)) as to:
        assert isinstance(to.deliver(event(1), 1), Delivered)
        assert isinstance(to.deliver(event(2), 1), Delivered)


def test_a_connection_that_was_seen_to_close_costs_no_retry_when_nobody_listens_any_more() -> None:
    with raw_server(answers(OK + b"Content-Length: 0\r\n\r\n")) as url, deliverer(destination(url)) as to:
        assert isinstance(to.deliver(event(1), 1), Delivered)
        port = int(url[:-1].rpartition(":")[2])
        with socket.socket() as probe:
            eventually(lambda: probe.connect_ex(("127.0.0.1", port)))
        assert to.deliver(event(2), 1) == Retry("network: ECONNREFUSED", counted=False)


def test_a_kept_connection_that_breaks_within_an_answer_is_not_repeated() -> None:
    def breaks(connection: socket.socket) -> None:
        answers(OK + b"Content-Length: 0\r\n\r\n")(connection)
        answers(OK + b"Content-Length: 9\r\n\r\nabc")(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(breaks, answers(OK + b"Content-Length: 0\r\n\r\n")) as url, deliverer(destination(url)) as to:
        assert isinstance(to.deliver(event(1), 1), Delivered)
        assert to.deliver(event(2), 1) == unanswered("network: ECONNRESET")


def closes_on_the_second(requests: list[bytes]) -> Callable[[socket.socket], None]:
    """A script that answers one request and closes the connection once it has read another."""

    def script(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK + b"Content-Length: 0\r\n\r\n")
        requests.append(read_request(connection))

    return script


def test_a_request_lost_with_an_idle_connection_is_repeated_byte_for_byte_in_the_same_attempt() -> None:
    requests: list[bytes] = []

    def last(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with raw_server(closes_on_the_second(requests), last) as url, deliverer(destination(url, secrets=(NEW,))) as to:
        assert isinstance(to.deliver(event(1), 1), Delivered)
        assert isinstance(to.deliver(event(2), 1), Delivered)
    assert len(requests) == 3
    assert requests[1] == requests[2] != requests[0]


def test_a_repeat_that_reaches_nobody_counts_because_the_first_may_have() -> None:
    requests: list[bytes] = []

    def last(connection: socket.socket) -> None:
        listener.close()
        closes_on_the_second(requests)(connection)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: last(listener.accept()[0]))
    thread.start()
    with deliverer(destination(f"http://127.0.0.1:{listener.getsockname()[1]}/")) as to:
        assert isinstance(to.deliver(event(1), 1), Delivered)
        assert to.deliver(event(2), 1) == unanswered("network: ECONNREFUSED")
    thread.join()


def test_a_refused_connection_costs_no_retry() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    assert delivered_to(url) == Retry("network: ECONNREFUSED", counted=False)


def test_an_answer_that_is_swallowed_counts_and_the_receiver_has_the_event() -> None:
    with Receiver() as receiver, proxy_before(receiver) as proxy:
        with deliverer(destination(url_of(proxy))) as to:
            proxy.swallow_replies()
            assert to.deliver(event(1), 1) == unanswered("network: ECONNRESET")
            proxy.clean()
            assert isinstance(to.deliver(event(1), 1), Delivered)
        assert receiver.ledger.repeated() == {f"{1:032x}"}
        assert receiver.ledger.changed() == frozenset()


def test_a_black_hole_delays_only_itself() -> None:
    with Receiver() as receiver, FaultProxy(("127.0.0.1", 9)) as hole:
        hole.dark()
        dark = destination(url_of(hole), name="dark")
        with deliverer(dark, destination(receiver.url)) as to:
            outcomes: list[object] = []
            stuck = threading.Thread(target=lambda: outcomes.append(to.deliver(event(1, to="dark"), 1)))
            stuck.start()
            eventually(lambda: hole.accepted)
            assert all(isinstance(to.deliver(event(id), 1), Delivered) for id in range(2, 50))  # noqa: A001
            assert not outcomes
            hole.cut()
            stuck.join()
            assert outcomes == [unanswered("network: ECONNRESET")]


def test_what_a_receiver_echoes_of_our_credentials_is_not_kept() -> None:
    def echo(request: Request) -> Answer:
        return Answer(400, body=f"{request.headers['authorization']} {request.path}".encode())

    with Receiver(answer=echo) as receiver:
        outcome = delivered_to(receiver.url + "hooks/CANARY-path", headers={"Authorization": "Bearer CANARY-9f3a"})
    assert outcome == Dead("http_400", 400, "Bearer *** /hooks/***")


def test_a_failpoint_after_sending_leaves_an_attempt_that_counts() -> None:
    with Receiver() as receiver, armed("outbox.after_send:raise:ConnectionResetError"):
        assert delivered_to(receiver.url) == unanswered("bad_answer: ConnectionResetError")


def test_an_event_that_can_go_nowhere_is_dead_without_a_request() -> None:
    with Receiver() as receiver, deliverer(destination(receiver.url)) as to:
        assert to.deliver(event(to="other"), 1) == Dead("destination_not_allowed", excerpt="no destination other")
        assert to.deliver(event(payload=b"{}"), 1) == Dead("invalid_payload", excerpt="no data")
        assert receiver.ledger.total == 0
