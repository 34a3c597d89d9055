"""A deadline for all that waits for PostgreSQL: no server that is frozen, and no network that is a black hole, holds a
caller longer than that (docs/decisions/0017-a-deadline-for-every-call.md).
"""

import select
import threading
import time
from collections.abc import Generator
from types import TracebackType
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

T = TypeVar("T")
Row = tuple[Any, ...]

LOOK_EVERY: Final = 0.1
"""Seconds between two looks at an operation that waits: it ends so much later than it should, at most."""
UNATTENDED: Final = 5.0
"""Deadline, in seconds, of what nobody waits for: a pool that rolls back what was returned to it in a transaction."""

_here = threading.local()


class OperationEnded(psycopg.OperationalError):
    """It took too long, or was cut off. Whether PostgreSQL carries it out, or has done so, is not known."""


class Operation:
    """What one thread does with PostgreSQL, for as long as the `with` block lasts, and until when it may take. One
    within another lasts no longer than that.

    Any thread may `cut` it: whoever waits in it gets OperationEnded within LOOK_EVERY seconds, and it begins nothing
    more. No socket is shut from outside, so that none can be one that meanwhile belongs to somebody else.
    """

    __slots__ = ("_cut", "_ends_at", "_outer", "_seconds", "_what")

    def __init__(self, what: str, seconds: float) -> None:
        self._cut = ""
        self._outer: Operation | None = None
        self.goes_on(what, seconds)

    def goes_on(self, what: str, seconds: float) -> None:
        """Its next step, with a deadline of its own."""
        self._what = what
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def cut(self, why: str = "who asked is not heard any more") -> None:
        """Ends it, from any thread."""
        self._cut = why

    @property
    def verdict(self) -> str:
        """Why it must not go on; empty if it may."""
        if self._outer is not None and (verdict := self._outer.verdict):
            return verdict
        if self._cut:
            return f"{self._what} was cut off: {self._cut}"
        if time.monotonic() >= self._ends_at:
            return f"{self._what}: no answer from PostgreSQL within {self._seconds:g} s"
        return ""

    def check(self) -> None:
        """OperationEnded if it must not go on."""
        if verdict := self.verdict:
            raise OperationEnded(verdict)

    def __enter__(self) -> "Operation":
        self._outer = current()
        _here.operation = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _here.operation = self._outer


class BoundedConnection(psycopg.Connection[Row]):
    """A connection whose every wait obeys the thread's Operation. One that has ended is closed with it: an answer that
    comes later would be taken for that of the next question.

    All that psycopg waits for on an open connection goes through `wait`: statements, COMMIT, ROLLBACK. Its sockets
    never block; closing does not wait either. Connecting has psycopg's own `connect_timeout`.
    """

    _heard_at = float("-inf")

    def is_quiet_since(self, seconds: float) -> bool:
        """Whether the server answered within the last so many seconds and has said nothing since: one that ends, or
        ends this connection, says so, or its host does.
        """
        if time.monotonic() - self._heard_at > seconds:
            return False
        look = select.poll()
        look.register(self.fileno(), select.POLLIN)
        return not look.poll(0)

    def wait(self, gen: PQGen[T], interval: float = LOOK_EVERY, *args: Any, **kwargs: Any) -> T:
        operation = current() or Operation("what nobody waits for", UNATTENDED)
        try:
            result = super().wait(_watched(gen, operation), min(interval, LOOK_EVERY), *args, **kwargs)
        except OperationEnded:
            self.close()
            raise
        self._heard_at = time.monotonic()
        return result


def connect(url: str, *, seconds: int) -> BoundedConnection:
    """A connection in autocommit, outside any pool; `seconds` for each host of the address."""
    return BoundedConnection.connect(
        url, connect_timeout=seconds, autocommit=True, prepare_threshold=None, application_name="m10:once"
    )


def current() -> Operation | None:
    """The operation of this thread."""
    return getattr(_here, "operation", None)


def _watched(steps: PQGen[T], operation: Operation) -> Generator[Any, Any, T]:
    """The same steps, as long as the operation may go on; psycopg comes by at least every LOOK_EVERY seconds."""
    try:
        operation.check()
        wanted = next(steps)
        while True:
            ready = yield wanted
            operation.check()
            wanted = steps.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
