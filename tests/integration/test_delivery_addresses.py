"""From a name to a connection: the guard, the look-up and TLS."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from delivery_kit import answers, deliverer, destination, event, raw_server, self_signed, silent

from m10actors.delivery import Dead, Delivered, Retry
from m10actors.testing.receiver import Receiver
from m10actors.testing.waiting import eventually

OK = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def names(**addresses: Callable[[], str]) -> Callable[..., list[Any]]:
    """A name server that knows `addresses`; the rest, literals included, is the system's affair."""

    def lookup(host: str, port: int, **more: Any) -> list[Any]:
        if host in addresses and not more["flags"]:
            host = addresses[host]()
        return socket.getaddrinfo(host, port, **more)

    return lookup


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::ffff:127.0.0.1]"]
)
def test_loopback_in_any_notation_is_not_allowed(host: str) -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", host)
        with deliverer(destination(url, allow_networks=())) as to:
            outcome = to.deliver(event(), 1)
        assert isinstance(outcome, Dead)
        assert outcome.reason == "destination_not_allowed"
        assert receiver.ledger.total == 0


def test_metadata_is_not_allowed_even_where_everything_is() -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    with deliverer(destination("http://169.254.169.254/latest/meta-data/", allow_networks=everything)) as to:
        assert to.deliver(event(), 1) == Dead("destination_not_allowed", excerpt="address_not_allowed: 169.254.169.254")


def test_a_name_that_moves_to_a_denied_address_is_checked_again_and_costs_no_retry() -> None:
    asked: list[str] = []

    def moving() -> str:
        asked.append("127.0.0.1" if asked else "127.0.0.2")
        return asked[-1]

    with raw_server(OK, host="127.0.0.2") as url:
        moved = destination(url.replace("127.0.0.2", "moving"), allow_networks=(ip_network("127.0.0.2/32"),))
        with deliverer(moved, lookup=names(moving=moving)) as to:
            assert isinstance(to.deliver(event(1), 1), Delivered)
            assert to.deliver(event(2), 1) == Retry("address_not_allowed: 127.0.0.1", counted=False)
    assert asked == ["127.0.0.2", "127.0.0.1"]


def test_the_host_header_keeps_the_name_that_was_resolved() -> None:
    hosts: list[str] = []
    with Receiver(on_delivery=lambda request, _: hosts.append(request.headers["host"])) as receiver:
        url = receiver.url.replace("127.0.0.1", "named")
        with deliverer(destination(url), lookup=names(named=lambda: "127.0.0.1")) as to:
            assert isinstance(to.deliver(event(), 1), Delivered)
    assert hosts == [url.removeprefix("http://").rstrip("/")]


def test_the_next_address_of_a_name_is_tried_when_one_refuses() -> None:
    def both(host: str, port: int, **more: Any) -> list[Any]:
        first, second = (socket.getaddrinfo(each, port, **more)[0] for each in ("127.0.0.3", "127.0.0.1"))
        if host != "named":
            return socket.getaddrinfo(host, port, **more)
        if more["flags"]:
            raise socket.gaierror(socket.EAI_NONAME)
        return [first, second]

    with Receiver() as receiver, deliverer(destination(receiver.url.replace("127.0.0.1", "named")), lookup=both) as to:
        assert isinstance(to.deliver(event(), 1), Delivered)


def test_a_name_that_does_not_exist_costs_no_retry() -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with deliverer(destination("http://nowhere.example/"), lookup=unknown) as to:
        assert to.deliver(event(), 1) == Retry("name_failed", counted=False)
    with deliverer(destination(f"http://{'a' * 70}.example/")) as to:
        assert to.deliver(event(), 1) == Retry("name_failed", counted=False)


def test_a_name_server_that_never_answers_holds_one_thread_and_no_other_destination() -> None:
    answered = threading.Event()

    def unanswering() -> str:
        answered.wait(20)
        return "127.0.0.1"

    with Receiver() as receiver:
        lost = destination(receiver.url.replace("127.0.0.1", "silent"), name="lost", seconds=0.1)
        with deliverer(lost, destination(receiver.url), lookup=names(silent=unanswering)) as to:
            for _ in range(3):
                assert to.deliver(event(to="lost"), 1) == Retry("name_timeout", counted=False)
            assert [thread.name for thread in threading.enumerate()].count("resolve silent") == 1
            assert isinstance(to.deliver(event(), 1), Delivered)
            answered.set()
            eventually(lambda: "resolve silent" not in [thread.name for thread in threading.enumerate()])
            assert isinstance(to.deliver(event(to="lost"), 1), Delivered)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "receiver.pem", "DNS:receiver")


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[Callable[[ssl.TLSVersion], str]]:
    """Starts an https server for one connection that speaks nothing newer than the version given; returns its url."""
    stop: list[Any] = []

    def start(newest: ssl.TLSVersion) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
        server = raw_server(lambda connection: OK(context.wrap_socket(connection, server_side=True)))
        stop.append(server)
        return server.__enter__().replace("http://127.0.0.1", "https://receiver")

    yield start
    for server in stop:
        server.__exit__(None, None, None)


LOOKUP = names(receiver=lambda: "127.0.0.1", other=lambda: "127.0.0.1")


@pytest.mark.needs("openssl")
def test_tls_is_verified_for_the_name_though_the_connection_goes_to_the_address(
    certificate: Path, tls_server: Callable[[ssl.TLSVersion], str]
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    with deliverer(destination(tls_server(ssl.TLSVersion.TLSv1_3)), lookup=LOOKUP, tls=trusting) as to:
        assert isinstance(to.deliver(event(), 1), Delivered)
    with deliverer(destination(tls_server(ssl.TLSVersion.TLSv1_2)), lookup=LOOKUP, tls=trusting) as to:
        assert isinstance(to.deliver(event(), 1), Delivered)
    wrong_name = tls_server(ssl.TLSVersion.TLSv1_3).replace("receiver", "other")
    with deliverer(destination(wrong_name), lookup=LOOKUP, tls=trusting) as to:
        outcome = to.deliver(event(), 1)
    assert isinstance(outcome, Retry)
    assert not outcome.counted
    assert outcome.error.startswith("tls_certificate: Hostname mismatch")


@pytest.mark.needs("openssl")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
@pytest.mark.parametrize(
    ("newest", "error"), [(ssl.TLSVersion.TLSv1_3, "tls_certificate"), (ssl.TLSVersion.TLSv1_1, "tls_failed")]
)
def test_tls_that_is_unknown_or_old_costs_no_retry(
    newest: ssl.TLSVersion, error: str, tls_server: Callable[[ssl.TLSVersion], str]
) -> None:
    with deliverer(destination(tls_server(newest)), lookup=LOOKUP) as to:
        outcome = to.deliver(event(), 1)
    assert isinstance(outcome, Retry)
    assert not outcome.counted
    assert outcome.error.startswith(error)


def test_a_server_that_does_not_answer_the_handshake_is_held_to_the_deadline() -> None:
    done = threading.Event()
    with raw_server(silent(done)) as url:
        with deliverer(destination(url.replace("http:", "https:"), seconds=0.3)) as to:
            assert to.deliver(event(), 1) == Retry("deadline", counted=False)
        done.set()
