"""How long a pool is short of a worker that crashed: `python -m m10actors.testing.healing [--workers N] [--rounds N]`.

Each worker of a pool crashes once on a message; measured is from the crash until the same child id has finished its
next message, which a new incarnation did. The source keeps what it gave until it is reported done, and gives it again
to a worker that begins anew: so no message is lost, and one that was done is done once. Exit code 1 if one was.
"""

import argparse
import logging
import statistics
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from m10actors.supervision import Actor, ChildSpec, Link, SupervisorSpec
from m10actors.supervisor import start_tree

LIMIT_MS = 50.0
MESSAGES_EACH = 20


@dataclass
class Ledger:
    """What happened in one round; each entry is written by one thread at a time."""

    crashes: frozenset[int]
    done: deque[int] = field(default_factory=deque)
    crashed_at: dict[str, float] = field(default_factory=dict)
    crashed_on: deque[int] = field(default_factory=deque)
    healed_in: deque[float] = field(default_factory=deque)
    all_done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Demand:
    """`worker` wants the next message, and has done `done`; None: it has only begun."""

    worker: str
    done: int | None


@dataclass(frozen=True, slots=True)
class Work:
    """One message."""

    number: int


class Source(Actor):
    """Gives one message at a time to each worker, and remembers it until it is done."""

    def __init__(self, link: Link, ledger: Ledger, count: int) -> None:
        super().__init__(link)
        self._ledger = ledger
        self._left = count
        self._to_give = deque(range(count))
        self._in_hand: dict[str, int] = {}

    def on_message(self, message: object) -> None:
        match message:
            case Demand(worker, done):
                if done is not None:
                    self._left -= 1
                    del self._in_hand[worker]
                if worker not in self._in_hand and self._to_give:
                    self._in_hand[worker] = self._to_give.popleft()
                if worker in self._in_hand:
                    self.tell_child(worker, Work(self._in_hand[worker]))
                if not self._left:
                    self._ledger.all_done.set()


class Worker(Actor):
    """Does what it is given; crashes the first time on those messages that the ledger names."""

    def __init__(self, link: Link, ledger: Ledger) -> None:
        super().__init__(link)
        self._ledger = ledger

    def on_begin(self) -> None:
        self.tell_child("source", Demand(self.child_id, None))

    def on_message(self, message: object) -> None:
        ledger = self._ledger
        match message:
            case Work(number) if number in ledger.crashes and number not in ledger.crashed_on:
                ledger.crashed_on.append(number)
                ledger.crashed_at[self.child_id] = time.perf_counter()
                raise RuntimeError(f"planted in message {number}")
            case Work(number):
                ledger.done.append(number)
                if (at := ledger.crashed_at.pop(self.child_id, None)) is not None:
                    ledger.healed_in.append((time.perf_counter() - at) * 1000)
                self.tell_child("source", Demand(self.child_id, number))


def one_round(workers: int) -> Ledger:
    """A pool of so many workers works off its messages; the first message of each worker crashes it."""
    count = workers * MESSAGES_EACH
    ledger = Ledger(frozenset(range(workers)))
    pool = tuple(ChildSpec(f"worker.{n}", lambda link: Worker.start(link, ledger)) for n in range(workers))
    source = ChildSpec("source", lambda link: Source.start(link, ledger, count))
    tree = start_tree(
        SupervisorSpec("root", (source, SupervisorSpec("workers", pool, intensity=2 * workers, period=600.0)))
    )
    try:
        if not ledger.all_done.wait(60):
            sys.exit("the messages were not worked off within 60 s")
    finally:
        tree.stop(10)
    return ledger


def main() -> int:
    """Prints the figures of all rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=25)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the crashes are planted
    ledgers = [one_round(args.workers) for _ in range(args.rounds)]
    wanted = args.rounds * args.workers * MESSAGES_EACH
    lost = wanted - sum(len(set(ledger.done)) for ledger in ledgers)
    twice = sum(len(ledger.done) for ledger in ledgers) - wanted + lost
    healed = sorted(ms for ledger in ledgers for ms in ledger.healed_in)
    median = statistics.median(healed)
    print(f"crashes {len(healed)} of {args.workers} workers, {args.rounds} rounds")  # noqa: T201
    print(f"messages {wanted}, lost {lost}, done twice {twice}")  # noqa: T201
    worst = healed[int(len(healed) * 0.99)]
    print(f"healed in {median:.1f} ms (median), {worst:.1f} ms (p99), limit {LIMIT_MS:g} ms")  # noqa: T201
    return 0 if not lost and not twice and median < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
