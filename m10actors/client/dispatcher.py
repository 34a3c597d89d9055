"""What was captured goes to disk and to the server, from two threads of its own: one writes, one sends.

A line is in memory from `put` until the first has written it, milliseconds later. The second sends from disk alone,
unless the disk does not take any: then from memory.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from m10actors.client.buffer import Buffer
from m10actors.client.counts import Counts
from m10actors.client.errors import ClientError, Unavailable
from m10actors.client.items import storing
from m10actors.client.results import Outcome, Rejected, Stats, Stored
from m10actors.client.retrying import perform
from m10actors.client.spool import MAX_LINES, Spool
from m10actors.client.transport import Transport
from m10actors.client.voice import Voice

THREADS: Final = "m10-client"
"""What the names of all threads of a client begin with: log lines of theirs are never captured."""
_LOOK_AROUND: Final = 5.0
"""Seconds between two looks for what dead processes left."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_PAUSE_FOR_A_PERSON: Final = 30.0
"""Where a token or an address must be put right first."""
_DISK_PAUSE: Final = 1.0


class Dispatcher:
    """Takes lines from any thread. Its own threads begin with the first line, or with `resume`.

    `unread` counts what could not even be made into a line; it is dropped.
    """

    def __init__(self, connect: Callable[[], Transport], spool: Spool | None, buffer_bytes: int) -> None:
        self._connect = connect
        self._transport: Transport | None = None
        self._buffer = Buffer(buffer_bytes)
        self._spool = spool
        self._disk_takes = spool is not None
        self._counts = Counts()
        self.unread = 0
        self._voice = Voice()
        self._failed = 0
        self._in_a_row = 0
        self._fresh = threading.Event()
        self._hurry = threading.Event()
        self._closed = threading.Event()
        self._progress = threading.Condition()
        self._starting = threading.Lock()
        self._steps = {"send": self._send} | ({} if spool is None else {"write": partial(self._write, spool)})
        self._threads: dict[str, threading.Thread] = {}

    def resume(self) -> None:
        """Begins at once if there are files of others in the spool: their processes may be dead."""
        if self._spool is not None and self._spool.is_inherited():
            self._start()

    def put(self, line: bytes) -> bool:
        """Whether there was room; never waits for anything but a lock that is held for microseconds."""
        taken = self._buffer.put(line)
        self._counts.add(captured=taken, dropped=not taken)
        if taken and len(self._threads) < len(self._steps):
            self._start()
        return taken

    @property
    def stats(self) -> Stats:
        torn, on_disk = (self._spool.torn, self._spool.waiting) if self._spool else (0, 0)
        return self._counts.stats(unread=self.unread, torn=torn, waiting=self._buffer.held + on_disk)

    def flush(self, timeout: float) -> bool:
        """Waits until all is sent, for `timeout` seconds; whether it is."""
        self._wake()
        with self._progress:
            return self._progress.wait_for(self._is_empty, timeout)

    def close(self, timeout: float) -> bool:
        """Ends within about `timeout` seconds, at once when all is on disk and the server does not take it. Whether all
        is sent: what is on disk is left to the next process, what is not is dropped.
        """
        deadline = time.monotonic() + timeout
        failed_before = self._failed
        self._wake()
        with self._progress:
            self._progress.wait_for(
                lambda: self._is_empty() or (not self._buffer.held and self._failed > failed_before), timeout
            )
        sent = self._is_empty()
        self._buffer.close()
        self._closed.set()
        self._wake()
        for thread in self._threads.values():
            thread.join(max(0.1, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads.values()):
            self._release()
        self._counts.add(dropped=self._buffer.clear())
        return sent

    def forget(self) -> None:
        """In a child after fork: nothing here is ours, and locks may be held for ever."""
        if self._spool is not None:
            self._spool.forget()

    def _start(self) -> None:
        with self._starting, suppress(RuntimeError):  # of a system without room for a thread: the next line tries again
            for name, step in self._steps.items():
                if name not in self._threads and not self._closed.is_set():
                    thread = threading.Thread(target=self._repeat, args=(step,), name=f"{THREADS}-{name}", daemon=True)
                    thread.start()
                    self._threads[name] = thread

    def _repeat(self, step: Callable[[], None]) -> None:
        while not self._closed.is_set():
            try:
                step()
            except Exception as error:  # noqa: BLE001 (a guest in somebody else's program: says so, and goes on)
                self._voice.bug(error)
                self._hurry.wait(_LONGEST_PAUSE)

    def _write(self, spool: Spool) -> None:
        lines = self._buffer.take(MAX_LINES, wait=True)
        if not lines:
            return
        try:
            spool.append(lines)
        except OSError as error:
            self._buffer.give_back(lines)
            self._disk_takes = False
            self._voice.disk_refused(error)
            self._fresh.set()
            self._closed.wait(_DISK_PAUSE)
            return
        self._buffer.done(lines)
        self._disk_takes = True
        self._voice.disk_took()
        self._fresh.set()
        self._moved()

    def _send(self) -> None:
        self._fresh.clear()
        if self._spool is not None and (lines := self._spool.peek()):
            if self._deliver(lines):
                self._spool.discard()
                self._moved()
        elif not self._disk_takes and (lines := self._buffer.take(MAX_LINES)):
            self._send_from_memory(lines)
        elif not self._closed.is_set():  # asked after `clear`: `close` sets this first, and then `_fresh`
            self._fresh.wait(_LOOK_AROUND)

    def _send_from_memory(self, lines: Sequence[bytes]) -> None:
        settled = False
        try:
            settled = self._deliver(lines)
        finally:
            if settled:
                self._buffer.done(lines)
                self._moved()
            else:
                self._buffer.give_back(lines)

    def _deliver(self, lines: Sequence[bytes]) -> bool:
        """Whether each line is settled; if not, it is time to try again."""
        try:
            if self._transport is None:
                self._transport = self._connect()
            outcomes = perform(storing(lines), self._transport, patience=0)
        except ClientError as error:
            self._voice.server_refused(error)
            self._failed += 1
            self._moved()
            self._pause(error)
            return False
        self._in_a_row = 0
        self._voice.server_took()
        self._count(outcomes)
        return True

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        stored = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
        counted = sum(outcome.counted for outcome in stored)
        rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
        self._counts.add(sent=counted, duplicates=len(stored) - counted, rejected=len(rejected))
        if rejected:
            self._voice.rejected(rejected[0])

    def _pause(self, error: ClientError) -> None:
        """Until the server may be there again, or somebody is in a hurry."""
        self._in_a_row += 1
        if self._hurry.wait(pause_after(error, self._in_a_row, random.random())):  # noqa: S311
            self._hurry.clear()
            self._in_a_row = 0

    def _is_empty(self) -> bool:
        return not self._buffer.held and (self._spool is None or not self._spool.waiting)

    def _moved(self) -> None:
        with self._progress:
            self._progress.notify_all()

    def _wake(self) -> None:
        self._hurry.set()
        self._fresh.set()

    def _release(self) -> None:
        if self._spool is not None:
            self._spool.close()
        if self._transport is not None:
            self._transport.close()


def pause_after(error: ClientError, in_a_row: int, chance: float) -> float:
    """Seconds until the next attempt, after so many that failed; `chance` is from 0 to 1."""
    if not isinstance(error, Unavailable):
        return _PAUSE_FOR_A_PERSON
    backoff: float = min(_FIRST_PAUSE * 2 ** min(in_a_row - 1, 10), _LONGEST_PAUSE)
    return max(backoff * (0.5 + chance / 2), error.retry_after)
