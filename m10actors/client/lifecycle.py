"""The ends of a process that a client must not miss: its exit, and the fork that makes a second one of it."""

import atexit
import os
from typing import Protocol


class Lasting(Protocol):
    """A client with threads."""

    def end(self) -> None:
        """The program ends."""

    def after_fork(self) -> None:
        """This is a child: the threads are gone, and locks may be held by threads that are not here."""


_clients: set[Lasting] = set()


def watch(client: Lasting) -> None:
    """Until `unwatch` the client is told of both."""
    _clients.add(client)


def unwatch(client: Lasting) -> None:
    _clients.discard(client)


def _at_exit() -> None:
    for client in list(_clients):
        client.end()


def _after_fork() -> None:
    for client in list(_clients):
        client.after_fork()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
