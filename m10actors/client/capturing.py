"""What both clients have in common: capturing, which never raises, never waits, and needs no event loop."""

import hashlib
import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast
from uuid import UUID, uuid4

from m10actors.client import lifecycle, seen
from m10actors.client.dispatcher import Dispatcher
from m10actors.client.items import line_of
from m10actors.client.results import Stats
from m10actors.client.spool import Spool
from m10actors.client.transport import connect, server_at

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_SPOOL: Final = "~/.m10/spool"


class Capturing:
    """A client, as far as it captures.

    `url` is an API (`http(s)://HOST:PORT`, with a `token` of scope recovery:write) or a database
    (`postgresql://m10_app@HOST/DATABASE`). `ca_file` (PEM) has the authorities that an HTTPS address is checked against
    in the place of the system's. `source` names the program where a failure does not: the same failure of two
    sources is two candidates. `timeout` holds for each phase of a request, `retry_for` for all attempts of one call of
    `ingest`, both in seconds. `spool` is a folder that any number of programs may share (None: memory only); it has a
    folder for each server in it, of up to `spool_bytes`. `buffer_bytes` bounds what is in memory. `exit_wait` bounds,
    in seconds, how long the end of the program waits for what is not sent.

    ValueError for an address, a token, a file of authorities or a source of a wrong form.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        ca_file: str | Path | None = None,
        source: str = "python",
        timeout: float = 10.0,
        retry_for: float = 10.0,
        spool: str | Path | None = DEFAULT_SPOOL,
        spool_bytes: int = 64 * 1024 * 1024,
        buffer_bytes: int = 32 * 1024 * 1024,
        exit_wait: float = 2.0,
    ) -> None:
        self._server = server_at(url, token, timeout, ca_file)
        if seen.source(source) != source:
            raise ValueError("source: expected a text of 1 to 100 characters")
        self._source = source
        self._retry_for = retry_for
        self._exit_wait = exit_wait
        self._spool_bytes = spool_bytes
        self._buffer_bytes = buffer_bytes
        self._folder = None if spool is None else _folder(spool, self._server.name)
        self._renew()
        self._dispatcher.resume()
        lifecycle.watch(self)

    def capture(
        self,
        exception: BaseException | None = None,
        *,
        meta: Mapping[str, object] | None = None,
        source: str | None = None,
    ) -> UUID | None:
        """Reports `exception`, or the one that is being handled, later and from another thread.

        The idempotency key under which it will arrive; None if there was nothing to report, or no room (`stats` counts
        it). Never raises, and waits for nothing. `meta` is stored with it, as far as it is JSON and not too much.
        """
        try:
            error = sys.exception() if exception is None else exception
            return None if error is None else self.take(lambda: seen.of_exception(error, meta or {}), source)
        except Exception:  # noqa: BLE001 (the promise; nothing is called here, since the stack may be full)
            self._dispatcher.unread += 1
            return None

    def captures(self, function: Callable[P, R]) -> Callable[P, R]:
        """A decorator for functions and coroutine functions: what they raise is captured, and raised on.

        Exceptions that are no Exception (KeyboardInterrupt, CancelledError) pass unreported.
        """
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    self.capture(error)
                    raise

            return cast(Callable[P, R], awaited)

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                self.capture(error)
                raise

        return called

    @property
    def stats(self) -> Stats:
        """What became of what was captured in this process, so far."""
        return self._dispatcher.stats

    def take(self, payload: Callable[[], Mapping[str, object]], source: str | None = None) -> UUID | None:
        """Captures what `payload` makes; for `capture` and RecoveryHandler. May raise whatever `payload` raises."""
        if getattr(self._busy, "here", False):
            return None  # a log line out of the __str__ of what is being captured
        self._busy.here = True
        try:
            key = uuid4()
            named = seen.source(source or self._source)
            line = line_of({"failure_payload": payload(), "source": named, "idempotency_key": str(key)})
            return key if self._dispatcher.put(line) else None
        finally:
            self._busy.here = False

    def unread(self) -> None:
        """Counts as dropped what could not be read."""
        self._dispatcher.unread += 1

    def end(self) -> None:
        """For the exit of the process."""
        self._end_capturing()

    def after_fork(self) -> None:
        """For a child: it captures under threads and files of its own, and what was waiting is its parent's."""
        self._dispatcher.forget()
        self._renew()

    def _end_capturing(self) -> bool:
        lifecycle.unwatch(self)
        return self._dispatcher.close(self._exit_wait)

    def _renew(self) -> None:
        """Makes anew what does not survive a fork."""
        spool = Spool(self._folder, self._spool_bytes) if self._folder else None
        self._dispatcher = Dispatcher(lambda: connect(self._server), spool, self._buffer_bytes)
        self._busy = threading.local()


def _folder(spool: str | Path, server: str) -> Path | None:
    """A folder for each server, so that no program sends to its own what was meant for another's."""
    try:
        return Path(spool).expanduser() / hashlib.sha256(server.encode()).hexdigest()[:16]
    except RuntimeError:  # a user without a home
        return None
