"""Names to addresses within a deadline: `getaddrinfo` has no timeout of its own."""

import ipaddress
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from m10actors.delivery.errors import NotReached
from m10actors.delivery.guard import Address

Lookup = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """One address to connect to."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    @property
    def address(self) -> Address:
        return ipaddress.ip_address(self.sockaddr[0])


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a host stands for. `literal`: it is an address in some notation (127.1, 0x7f000001) and stays that one."""

    places: tuple[Place, ...]
    literal: bool


class Resolver:
    """Looks hosts up, each in a thread that nobody has to wait for.

    There is one look-up per host at a time, and hosts come from the configuration: so a name server that never answers
    holds at most one thread per destination, and no other destination.
    """

    def __init__(self, lookup: Lookup = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[tuple[Place, ...]]] = {}

    def resolve(self, host: str, port: int, timeout: float) -> Resolution:
        """NotReached if there is no address within `timeout` seconds."""
        try:
            return Resolution(_places(self._lookup, host, port, socket.AI_NUMERICHOST), literal=True)
        except (OSError, UnicodeError):
            pass
        try:
            return Resolution(self._started(host, port).result(timeout), literal=False)
        except TimeoutError as error:
            raise NotReached("name_timeout") from error
        except (OSError, UnicodeError) as error:
            raise NotReached("name_failed") from error

    def _started(self, host: str, port: int) -> Future[tuple[Place, ...]]:
        with self._lock:
            running = self._running.get((host, port))
            if running is None:
                running = Future()
                work = (host, port, running)
                threading.Thread(target=self._look_up, args=work, name=f"resolve {host}", daemon=True).start()
                self._running[host, port] = running
            return running

    def _look_up(self, host: str, port: int, found: Future[tuple[Place, ...]]) -> None:
        try:
            places = _places(self._lookup, host, port, 0)
        except (OSError, UnicodeError) as error:
            self._forget(host, port)
            found.set_exception(error)
        else:
            self._forget(host, port)
            found.set_result(places)

    def _forget(self, host: str, port: int) -> None:
        """Before the result is given out: whoever asks after that starts a look-up of its own."""
        with self._lock:
            del self._running[host, port]


def _places(lookup: Lookup, host: str, port: int, flags: int) -> tuple[Place, ...]:
    found = lookup(host, port, type=socket.SOCK_STREAM, flags=flags)
    return tuple(Place(family, sockaddr) for family, _, _, _, sockaddr in found)
