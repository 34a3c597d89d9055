"""Reads the stream against demand: nothing is read that no worker has asked for."""

from contextlib import suppress
from datetime import timedelta

from m10actors import logs
from m10actors.actors.hand_out import HandOut
from m10actors.actors.messages import DEAD_LETTER_ROUTER, Demand, Entries, GiveUp, Tick
from m10actors.actors.outage import Outage
from m10actors.recovery.dependency import Dependency
from m10actors.streams import (
    BadEntry,
    Entry,
    RedisMisconfigured,
    RedisUnavailable,
    StreamQueue,
    StreamsError,
    StreamStateLost,
)
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

READ = Tick("read")
LOOK_AGAIN = Tick("look_again")
KEEP = Tick("keep")
LOOK_AGAIN_SECONDS = 1.0


class StreamReader(Actor):
    """One blocking read at a time, for all workers together.

    After an error of a read it looks for what the lost reply may have delivered: its own pending entries that nobody
    has in hand, at once and again a little later (a frozen server delivers late). So it does when it starts, for a
    predecessor that crashed. Each is handed out once for an error: what stays pending on purpose is the reclaimer's.

    While there is more than is read at once, no more than `abreast` workers get some, who take the larger batches for
    it; what comes to an idle stream waits for no worker that is still writing.

    What workers have in hand does not look idle, however slow they are: a worker that hangs is replaced, and its
    successor says what it did not get done.
    """

    def __init__(
        self, link: Link, queue: StreamQueue, redis: Dependency, block: timedelta, batch_max: int,
        claim_idle: timedelta, abreast: int,
    ) -> None:  # fmt: skip
        super().__init__(link)
        self._queue = queue
        self._redis = redis
        self._block = block
        self._batch_max = batch_max
        self._keep_every = claim_idle.total_seconds() / 3
        self._abreast = abreast
        self._is_backlogged = False
        self._hands = HandOut()
        self._outage = Outage("redis")
        self._group_known = False
        self._suspect = True
        self._look_again = False
        self._recovered: set[bytes] = set()

    def on_begin(self) -> None:
        self.tick_in(self._keep_every, KEEP)

    def on_message(self, message: object) -> None:
        match message:
            case Demand():
                self._hand_again(message)
                self.tick_in(0, READ)
            case Tick("read"):
                self._read_or_wait()
            case Tick("look_again"):
                self._suspect = True
                self.tick_in(0, READ)
            case Tick("keep"):
                with suppress(StreamsError):  # who reads finds out
                    self._queue.keep(self._hands.in_hand)
                self.tick_in(self._keep_every, KEEP)

    def interrupt(self) -> None:
        self._queue.wake()

    def on_end(self) -> None:
        if self.stopping.is_set():
            with suppress(StreamsError):  # what cannot be handed back is reclaimed
                self._queue.hand_back(self._hands.in_hand)
        self._queue.close()

    def _hand_again(self, demand: Demand) -> None:
        held = self._hands.demand(demand)
        if held:
            log.info("entries_handed_again", worker=demand.worker, entries=len(held))
            self.tell_child(demand.worker, Entries(held, retaken=True))

    def _read_or_wait(self) -> None:
        try:
            self._read()
        except StreamStateLost as error:
            log.warning("stream_state_lost", error=str(error))
            self._redis.lost_state()
            self._group_known = False
            self.tick_in(0, READ)
        except (RedisUnavailable, RedisMisconfigured) as error:
            self._suspect = self._look_again = True
            self._recovered.clear()
            self.tick_in(self._outage.met(error), READ)

    def _read(self) -> None:
        if self.stopping.is_set() or not self._wanted():
            return
        if not self._group_known:
            if self._queue.ensure_group():
                log.info("consumer_group_created")
                self._redis.lost_state()
            self._group_known = True
        if self._suspect:
            self._recover()
        if wanted := self._wanted():
            self.doing(f"waiting for up to {wanted} entries")
            read = self._queue.read(wanted, self._block)
            self._is_backlogged = len(read) == wanted
            self._share(read, retaken=False)
        self._outage.over()
        if self._wanted():
            self.tick_in(0, READ)

    def _wanted(self) -> int:
        """How many entries to read at once."""
        wanted = self._hands.room(self._abreast) if self._is_backlogged else self._hands.wanted
        return min(wanted, self._batch_max)

    def _recover(self) -> None:
        """Hands out a batch of own pending entries that nobody has in hand, and leaves room for new ones beside it."""
        room = max(1, self._wanted() // 2)
        lost = self._queue.read_own_pending(self._recovered.union(self._hands.in_hand), room)
        self._recovered.update(entry.entry_id for entry in lost)
        self._suspect = len(lost) == room
        if lost:
            log.info("own_pending_recovered", entries=len(lost))
            self._share(lost, retaken=True)
        if not self._suspect and self._look_again:
            self._look_again = False
            self.tick_in(LOOK_AGAIN_SECONDS, LOOK_AGAIN)

    def _share(self, read: list[Entry | BadEntry], *, retaken: bool) -> None:
        for bad in (entry for entry in read if isinstance(entry, BadEntry)):
            self.tell_child(DEAD_LETTER_ROUTER, GiveUp(bad.reason, entry=bad))
        for worker, entries in self._hands.share([entry for entry in read if isinstance(entry, Entry)]):
            self.tell_child(worker, Entries(entries, retaken))
