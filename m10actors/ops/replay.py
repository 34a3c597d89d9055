"""Replays of many dead letters: one, then a percent, then the rest, at a rate; they stop by themselves when failures
return.

What is done stands in PostgreSQL item by item, so that whoever takes a replay up after a kill goes on exactly. Only who
holds the lock replays: of two processes on one replay, one waits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from m10actors.delivery.bucket import Bucket
from m10actors.hints import Hints
from m10actors.postgres import locks, replays
from m10actors.postgres.errors import LeaseLost, StoreUnavailable
from m10actors.postgres.pool import Database
from m10actors.postgres.replays import Replayed, Run
from m10actors.recovery.lease import Renewal
from m10actors.replay.verdict import Done, Phase, Send, Stop, Tally, Wait, phase, verdict
from m10actors.streams import Message
from m10actors.testing.failpoints import failpoint

LOCK: Final = "dlq_replay"
TTL: Final = timedelta(seconds=3)
BATCH: Final = 500
TICK_SECONDS: Final = 0.1


class ReplayElsewhere(Exception):
    """Another process replays, and goes on doing so."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`rate`: items a second; `patience`: how long nothing may come to an end before one wonders."""

    rate: float
    patience: timedelta


@dataclass(frozen=True, slots=True)
class Progress:
    """How a replay stands. `weather`: why nothing moves, if a store is away."""

    phase: Phase
    tally: Tally
    weather: str | None = None


class Replayer:
    """Carries one replay on, in the thread of its caller."""

    def __init__(
        self, database: Database, hints: Hints, run: Run, holder: str, by: str, pace: Pace,
        report: Callable[[Progress], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._database = database
        self._hints = hints
        self._holder = holder
        self._by = by
        self._patience = pace.patience.total_seconds()
        self._report = report
        self._epoch: int | None = None
        self._renewed_at = time.monotonic()
        self._bucket = Bucket.full(pace.rate, max(1.0, pace.rate / 5), self._renewed_at)
        self._ended_at = self._renewed_at
        self._tally = replays.tally(database, run.id)
        self.run = run

    def play(self, is_ending: Callable[[], bool], wait: Callable[[float], object]) -> Run:
        """Goes on until nothing is left, or it stops by itself, or `is_ending`; then the replay stays open. What is
        under way is finished by the engine in any case. A store that is away is waited for.

        ReplayElsewhere if another process holds the lock for longer than one that died would.
        """
        try:
            while self.run.state == "open" and not is_ending():
                try:
                    pause = self._step()
                except LeaseLost:
                    self._epoch, pause = None, TICK_SECONDS
                except StoreUnavailable as error:
                    self._report(Progress(self.run.phase, self._tally, str(error)))
                    self._ended_at, pause = time.monotonic(), 1.0  # nothing could come to an end
                if pause:
                    wait(pause)
            if self.run.state == "open":
                self._note(f"interrupted {self._where()}", self.run.phase)
        finally:
            if self._epoch is not None:
                locks.release(self._database, LOCK, self._holder, self._epoch)
        return self.run

    def _step(self) -> float:
        """One bounded piece of work; seconds until the next."""
        if not self._leads():
            return TICK_SECONDS
        if self.run.state != "open":
            return 0.0
        self._look()
        match verdict(self._tally, self.run.stop_at, is_silent=time.monotonic() - self._ended_at >= self._patience):
            case Send(most):
                return self._send(most)
            case Wait():
                return TICK_SECONDS
            case Stop(why):
                self._note(f"stopped {self._where()}: {why}", self.run.phase, "stopped")
            case Done():
                self._note(f"done {self._where()}", self.run.phase, "done")
            case never:
                assert_never(never)
        return 0.0

    def _leads(self) -> bool:
        """Whether the lock is held now: renewed in time, or taken, where whoever had it has died."""
        now = time.monotonic()
        if self._epoch is not None and now - self._renewed_at < TTL.total_seconds() / 3:
            return True
        if self._epoch is None:
            self._epoch = locks.acquire(self._database, LOCK, self._holder, TTL)
            if self._epoch is None and now - self._renewed_at > 2 * TTL.total_seconds():
                raise ReplayElsewhere
            if self._epoch is not None:
                self._taken_up()
        elif locks.renew(self._database, LOCK, self._holder, self._epoch, TTL) is Renewal.LOST:
            raise LeaseLost(f"the lock {LOCK} has passed to another")
        if self._epoch is not None:
            self._renewed_at = now
        return self._epoch is not None

    def _taken_up(self) -> None:
        """Whoever had the lock may have ended this replay."""
        found = replays.run(self._database, self.run.id)
        assert found is not None, "an open replay is never deleted"
        self.run = found
        if found.state == "open":
            self._note("taken up again" if found.steps else "begun", found.phase)

    def _look(self) -> None:
        before, self._tally = self._tally, replays.tally(self._database, self.run.id, self._tally.total)
        if self._tally.tried_ended != before.tried_ended or self._tally.tried != before.tried:
            self._ended_at = time.monotonic()
        if (now := phase(self._tally)) != self.run.phase and self._tally.waiting:
            self._note(f"{now} begins {self._where()}", now)
        self._report(Progress(self.run.phase, self._tally))

    def _send(self, most: int) -> float:
        self._bucket = self._bucket.filled(time.monotonic())
        count = min(most, BATCH, int(self._bucket.level))
        if count < 1:
            return min(self._bucket.wait, TICK_SECONDS)
        assert self._epoch is not None
        done = replays.replay_items(self._database, self.run.id, self._holder, self._epoch, self._by, count)
        failpoint("dlq.replay.after_items")
        self._bucket = self._bucket.plus(-len(done))
        self._hints.send_messages([message for each in done if (message := _message(each))])
        failpoint("dlq.replay.after_hints")
        if not done:  # somebody cancelled it
            self.run = replays.run(self._database, self.run.id) or self.run
        return 0.0

    def _note(self, what: str, now: Phase, state: replays.RunState = "open") -> None:
        self.run = replays.note(self._database, self.run.id, self._by, what, state, now)

    def _where(self) -> str:
        return f"at {self._tally.replayed} of {self._tally.total}"


def _message(done: Replayed) -> Message | None:
    """The message of an evaluation that became due; an event needs none, its leader looks for it."""
    if done.candidate_id is None or done.generation is None:
        return None
    now = datetime.now(UTC)
    return Message(done.candidate_id, done.generation, now, replayed_from_dl=done.dl_msg_id, replayed_at=now)
