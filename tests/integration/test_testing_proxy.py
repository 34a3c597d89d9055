"""The proxy forwards faithfully until it is told how to break, over TCP and Unix sockets alike."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from m10actors.testing.proxy import Address, FaultProxy
from m10actors.testing.waiting import eventually


class Echo:
    """A server that sends back what it gets, and remembers it."""

    def __init__(self, listener: socket.socket) -> None:
        self.heard = b""
        self._listener = listener
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                self.heard += data
                connection.sendall(data)


@pytest.fixture(params=["tcp", "unix"])
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Echo, FaultProxy]]:
    """An echo server and a started proxy before it."""
    listener: socket.socket
    upstream: Address
    if request.param == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        upstream, listen = listener.getsockname(), ("127.0.0.1", 0)
        proxy = FaultProxy(upstream, listen)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "up"))
        listener.listen()
        proxy = FaultProxy(tmp_path / "up", tmp_path / "listen")
    echo = Echo(listener)
    with proxy:
        yield echo, proxy
    echo.stop()


def connected(proxy: FaultProxy) -> socket.socket:
    if isinstance(proxy.address, Path):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(proxy.address))
    else:
        client = socket.create_connection(proxy.address)
    client.settimeout(20)
    return client


def is_broken(client: socket.socket) -> bool:
    """A Unix socket knows no reset: there a broken connection is one that ends."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def echoed(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    back = b""
    while len(back) < len(data):
        back += client.recv(65536)
    return back


Link = tuple[Echo, FaultProxy]


def test_without_a_fault_every_byte_passes_and_an_end_is_an_end(link: Link) -> None:
    echo, proxy = link
    data = bytes(range(256)) * 10
    with connected(proxy) as client:
        assert echoed(client, data) == data
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert echo.heard == data
    assert proxy.accepted == 1


def test_a_delay_holds_for_both_directions(link: Link) -> None:
    _, proxy = link
    proxy.delay(0.05)
    with connected(proxy) as client:
        before = time.monotonic()
        assert echoed(client, b"x") == b"x"
        assert time.monotonic() - before >= 0.1


def test_a_cut_breaks_what_exists_and_nothing_that_comes(link: Link) -> None:
    _, proxy = link
    with connected(proxy) as client:
        assert echoed(client, b"a") == b"a"
        proxy.cut()
        assert is_broken(client)
    with connected(proxy) as client:
        assert echoed(client, b"b") == b"b"


def test_a_swallowed_reply_breaks_the_connection_after_the_request_has_arrived(link: Link) -> None:
    echo, proxy = link
    with connected(proxy) as client:
        assert echoed(client, b"a") == b"a"
        proxy.swallow_replies()
        client.sendall(b"b")
        assert is_broken(client)
    assert echo.heard == b"ab"
    proxy.clean()
    with connected(proxy) as client:
        assert echoed(client, b"c") == b"c"


def test_in_the_dark_nothing_passes_and_then_all_of_it(link: Link) -> None:
    echo, proxy = link
    with connected(proxy) as old:
        assert echoed(old, b"a") == b"a"
        proxy.dark()
        old.sendall(b"b")
        with connected(proxy) as new:
            new.sendall(b"c")
            eventually(lambda: proxy.accepted == 2)
            new.settimeout(0.05)
            with pytest.raises(TimeoutError):
                new.recv(1)
            assert echo.heard == b"a"
            new.settimeout(20)
            proxy.clean()
            assert (old.recv(1), new.recv(1)) == (b"b", b"c")


def test_a_forgotten_connection_is_dark_and_a_new_one_is_not(link: Link) -> None:
    echo, proxy = link
    with connected(proxy) as old:
        assert echoed(old, b"a") == b"a"
        proxy.forget()
        old.sendall(b"b")
        with connected(proxy) as new:
            assert echoed(new, b"c") == b"c"
        assert echo.heard == b"ac"
        proxy.clean()
        assert old.recv(1) == b"b"


def test_a_refusing_proxy_keeps_its_connections_and_its_address(link: Link) -> None:
    _, proxy = link
    with connected(proxy) as client:
        assert echoed(client, b"a") == b"a"
        proxy.refuse()
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            connected(proxy)
        assert echoed(client, b"b") == b"b"
        proxy.clean()
        with connected(proxy) as again:
            assert echoed(again, b"c") == b"c"


def test_an_upstream_that_is_down_is_a_broken_connection(tmp_path: Path) -> None:
    with FaultProxy(tmp_path / "nobody") as proxy, connected(proxy) as client:
        assert is_broken(client)


@pytest.mark.parametrize("fault", [FaultProxy.dark, FaultProxy.swallow_replies, FaultProxy.refuse, FaultProxy.cut])
def test_it_stops_under_any_fault_and_leaves_no_thread(fault: Callable[[FaultProxy], None], link: Link) -> None:
    _, proxy = link
    with connected(proxy) as client:
        assert echoed(client, b"a") == b"a"
        before = threading.active_count()
        with FaultProxy(proxy.address) as second, connected(second) as further:
            assert echoed(further, b"b") == b"b"
            fault(second)
        eventually(lambda: threading.active_count() <= before + 1)
