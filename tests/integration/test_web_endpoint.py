"""The endpoint as a supervised child: start, restart, end, and connections that misbehave."""

import asyncio
import logging
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from supervisor_kit import states
from web_kit import LOOPBACK, PREFIX, Site, call, connect, converse, failure, listening, open_site

from m10actors.embedded import EmbeddedServers
from m10actors.supervision import StartFailed
from m10actors.testing.waiting import eventually
from m10actors.web.apps import api_app
from m10actors.web.server import KEEP_ALIVE_SECONDS, HttpServer, Listener
from m10actors.web.sockets import CannotListen, PortInUse, Tcp, Unix


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with open_site(servers.start(), "web_endpoint") as site:
        yield site


def api(site: Site, place: Tcp | Unix = LOOPBACK, **options: Any) -> Listener:
    return Listener("api", place, api_app(site.services), **options)


def taken() -> socket.socket:
    """Somebody else's listening socket."""
    return socket.create_server(("127.0.0.1", 0))


def test_it_has_begun_when_all_listeners_answer(site: Site, tmp_path: Path) -> None:
    with listening(site, api(site), Listener("ops", Unix(tmp_path / "s"), api_app(site.services))):
        for address in site.addresses.values():
            assert call(address, "GET", "/healthz").status == 200
        assert site.addresses["api"] in states(site.tree)["http_endpoint"].doing  # type: ignore[arg-type]
        assert {"http_endpoint.api", "http_endpoint.ops"} <= {thread.name for thread in threading.enumerate()}


def test_a_port_that_is_in_use_fails_the_start_and_says_which(site: Site) -> None:
    with taken() as other:
        port = other.getsockname()[1]
        second = Listener("ops", Tcp("127.0.0.1", port), api_app(site.services))
        message = f"PortInUse: cannot listen at 127.0.0.1:{port}"
        with pytest.raises(StartFailed, match=message), listening(site, api(site), second):
            pass


def test_a_port_that_was_not_chosen_gives_way_to_the_next_free_one() -> None:
    with taken() as other:
        port = other.getsockname()[1]
        bound = Tcp("127.0.0.1", port, spare_ports=20).bind()
        try:
            assert port < int(bound.address.rpartition(":")[2]) <= port + 20
        finally:
            bound.close()


def test_connections_neither_wait_for_acknowledgements_nor_stay_for_ever_unread() -> None:
    bound = LOOPBACK.bind()
    host, _, port = bound.address.rpartition(":")
    with socket.create_connection((host, int(port)), 10), bound.socket.accept()[0] as taken_over:
        assert taken_over.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert taken_over.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) > 0
    bound.close()


def test_an_address_of_another_host_cannot_be_listened_at() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:80"):
        Tcp("192.0.2.1", 80).bind()
    with pytest.raises(CannotListen, match=r"no\.such\.host\.invalid"):
        Tcp("no.such.host.invalid", 80).bind()


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ops.sock"
    first = Unix(path).bind()
    first.socket.close()
    second = Unix(path).bind()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    second.close()
    assert not path.exists()


def test_a_socket_that_somebody_listens_at_and_a_file_are_left_alone(tmp_path: Path) -> None:
    path, file = tmp_path / "ops.sock", tmp_path / "file"
    first = Unix(path).bind()
    with pytest.raises(PortInUse):
        Unix(path).bind()
    file.write_text("kept")
    with pytest.raises(CannotListen):
        Unix(file).bind()
    with pytest.raises(CannotListen):
        Unix(tmp_path / ("x" * 200)).bind()
    assert file.read_text() == "kept"
    file.replace(path)
    first.close()
    assert path.read_text() == "kept"


def test_of_many_that_start_at_once_one_gets_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    Unix(path).bind().socket.close()
    bound, refused = [], []

    def bind() -> None:
        try:
            bound.append(Unix(path).bind())
        except PortInUse as error:
            refused.append(error)

    threads = [threading.Thread(target=bind) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(bound), len(refused)) == (1, 7)
    bound[0].close()


def test_a_server_that_dies_is_a_crash_and_all_listen_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[HttpServer] = []
    start = HttpServer.start
    monkeypatch.setattr(HttpServer, "start", lambda self, *a, **k: (made.append(self), start(self, *a, **k)))
    port = _free_port()
    with listening(site, api(site, Tcp("127.0.0.1", port)), poll=60.0):
        made[0].ask_to_stop()
        eventually(lambda: states(site.tree)["http_endpoint"].restarts == 1)  # type: ignore[arg-type]
        eventually(lambda: states(site.tree)["http_endpoint"].phase == "running")  # type: ignore[arg-type]
        assert "ServerDied" in str(states(site.tree)["http_endpoint"].last_exit)  # type: ignore[arg-type]
        assert call(f"127.0.0.1:{port}", "GET", "/healthz").status == 200


def test_a_server_whose_loop_hangs_is_replaced(site: Site) -> None:
    let_go = threading.Event()

    async def hanging(scope: Any, receive: Any, send: Any) -> None:
        let_go.wait(30)

    port = _free_port()
    with listening(site, Listener("api", Tcp("127.0.0.1", port), hanging), shutdown=1.0, poll=0.1):
        connection = connect(f"127.0.0.1:{port}")
        connection.request("GET", "/")
        eventually(lambda: states(site.tree)["http_endpoint"].restarts >= 1)  # type: ignore[arg-type]
        eventually(lambda: states(site.tree)["http_endpoint"].phase == "running")  # type: ignore[arg-type]
        socket.create_connection(("127.0.0.1", port), 10).close()
        let_go.set()
        connection.close()


def test_open_connections_do_not_hold_the_end(site: Site) -> None:
    with listening(site, api(site), shutdown=2.0):
        idle, half, silent = (connect(site.addresses["api"]) for _ in range(3))
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()
        half.connect()
        half.sock.sendall(b"POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-le")
        silent.connect()
        assert site.tree is not None
        began = time.monotonic()
        site.tree.stop(deadline=10)
        assert site.tree.abandoned == 0
        assert time.monotonic() - began < 5
        for connection in (idle, half, silent):
            connection.close()


def test_a_request_in_hand_is_finished_before_the_end(site: Site) -> None:
    entered, go_on = threading.Event(), threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        entered.set()
        await asyncio.to_thread(go_on.wait, 10)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    answers = []
    with listening(site, Listener("api", LOOPBACK, slow), shutdown=5.0):
        asking = threading.Thread(target=lambda: answers.append(call(site.addresses["api"], "GET", "/").status))
        asking.start()
        entered.wait(10)
        assert site.tree is not None
        stopping = threading.Thread(target=site.tree.stop)
        stopping.start()
        eventually(lambda: states(site.tree)["http_endpoint"].phase == "stopping")  # type: ignore[arg-type]
        go_on.set()
        asking.join()
        stopping.join()
    assert answers == [204]


SLOW = {
    "in its headers": b"POST /api/v1/recovery/ingest HTTP/1.1\r\nhost: local",
    "in its body": b"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
    b'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"fail',
}


@pytest.mark.parametrize("where", SLOW)
def test_a_request_that_does_not_arrive_in_time_is_408(site: Site, where: str) -> None:
    raw = SLOW[where].replace(b"{path}", f"{PREFIX}/ingest".encode())
    raw = raw.replace(b"{token}", site.token["recovery:write"].encode())
    with listening(site, api(site, request_timeout=timedelta(milliseconds=300))):
        answer = converse(site.addresses["api"], raw)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in answer


def test_bytes_that_drip_in_do_not_move_the_deadline(site: Site) -> None:
    with listening(site, api(site, request_timeout=timedelta(milliseconds=300))):
        host, _, port = site.addresses["api"].rpartition(":")
        with socket.create_connection((host, int(port)), 10) as wire:
            wire.settimeout(0.05)
            wire.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
            answer = eventually(lambda: _drip(wire), every=0.001)
    assert b" 408 " in answer[:20]


def test_a_connection_that_says_nothing_is_closed_in_silence(site: Site) -> None:
    with listening(site, api(site, request_timeout=timedelta(milliseconds=200))):
        assert converse(site.addresses["api"], b"") == b""


@pytest.mark.parametrize("rest", [b"GET /he", b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nabc"])
def test_a_second_request_on_a_connection_has_its_deadline_too(site: Site, rest: bytes) -> None:
    first = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with listening(site, api(site, request_timeout=timedelta(milliseconds=300))):
        began = time.monotonic()
        answer = converse(site.addresses["api"], first + rest)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - began < KEEP_ALIVE_SECONDS / 2


def test_a_refused_body_is_read_off_and_the_connection_is_used_again(site: Site) -> None:
    with listening(site, api(site)):
        connection = connect(site.addresses["api"])
        headers = {"authorization": f"Bearer {site.token['recovery:write']}", "content-type": "application/json"}
        statuses = []
        for body in (b"x" * 300_000, b"{}", b"x" * 300_000):
            connection.request("POST", f"{PREFIX}/ingest", body, headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()
    assert statuses == [413, 422, 413]


def test_headers_are_limited(site: Site) -> None:
    endless = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 4_000_000
    with listening(site, api(site)):
        with suppress(ConnectionError):  # cut off before all of it was sent
            assert converse(site.addresses["api"], endless).startswith(b"HTTP/1.1 400 ")
        assert call(site.addresses["api"], "GET", "/healthz").status == 200


def test_no_server_header_and_no_line_for_what_strangers_send(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with listening(site, api(site)), caplog.at_level(logging.WARNING):
        assert "server" not in call(site.addresses["api"], "GET", "/healthz").headers
        assert converse(site.addresses["api"], b"\x16\x03\x01 no HTTP\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert "Invalid HTTP" not in caplog.text


def test_a_bug_is_500_without_a_stack_trace_and_one_line_without_the_value(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("-".join(["SECRET", "VALUE"]))

    monkeypatch.setattr(site.services.ingest, "accept", bug)
    with listening(site, api(site)), caplog.at_level(logging.ERROR):
        answer = site.ingest(failure())
    assert (answer.status, answer.json["error"]) == (500, "internal")
    lines = [record for record in caplog.records if record.name == "uvicorn.error"]
    assert [line.getMessage() for line in lines] == ["request_failed"]
    assert lines[0].fields["error"] == "RuntimeError"  # type: ignore[attr-defined]
    assert "SECRET-VALUE" not in answer.raw.decode() + caplog.text + str(lines[0].__dict__)


def _drip(wire: socket.socket) -> bytes:
    """Sends one byte more; what came back, if anything."""
    with suppress(OSError):
        wire.sendall(b"x")
    try:
        return wire.recv(1000)
    except TimeoutError:
        return b""


def _free_port() -> int:
    with taken() as probe:
        return int(probe.getsockname()[1])
