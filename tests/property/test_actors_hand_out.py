"""Any order of demands, shares and crashes: every entry is in exactly one place."""

import itertools
from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from m10actors.actors.hand_out import HandOut
from m10actors.actors.messages import Demand
from m10actors.streams import Entry

WORKERS = ("a", "b", "c")
workers = st.sampled_from(WORKERS)


class Shares(RuleBasedStateMachine):
    """The workers as they see it, each with an inbox; messages are handled in order, at any later time."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = HandOut()
        self.ids: Iterator[int] = itertools.count(1)
        self.inbox: dict[str, list[tuple[Entry, ...]]] = {worker: [] for worker in WORKERS}
        self.done: set[bytes] = set()
        self.wants: dict[str, int] = dict.fromkeys(WORKERS, 0)
        self.handed_out: set[bytes] = set()

    @rule(worker=workers, want=st.integers(1, 5))
    def asks_again_on_its_tick(self, worker: str, want: int) -> None:
        """Perhaps while a share is on its way to it."""
        assert self.hands.demand(Demand(worker, want)) == ()
        if not self.inbox[worker]:
            self.wants[worker] = want

    @rule(worker=workers, want=st.integers(0, 5))
    @precondition(lambda self: any(self.inbox.values()))
    def works_off_a_share_and_asks_for_more(self, worker: str, want: int) -> None:
        if self.inbox[worker]:
            share = self.inbox[worker].pop(0)
            ids = frozenset(entry.entry_id for entry in share)
            self.done |= ids
            assert self.hands.demand(Demand(worker, want, ids)) == ()
            self.wants[worker] = 0 if self.inbox[worker] else want

    @rule(worker=workers, want=st.integers(1, 5))
    def crashes_and_its_successor_asks(self, worker: str, want: int) -> None:
        lost = {entry.entry_id for share in self.inbox[worker] for entry in share}
        self.inbox[worker].clear()
        again = self.hands.demand(Demand(worker, want, fresh=True))
        assert [entry.entry_id for entry in again] == sorted(lost)
        if again:
            self.inbox[worker].append(again)
        self.wants[worker] = 0 if again else want

    @rule(worker=workers)
    def ends_for_good(self, worker: str) -> None:
        assert self.hands.demand(Demand(worker, 0)) == ()
        self.wants[worker] = 0

    @rule(data=st.data())
    @precondition(lambda self: self.hands.wanted > 0)
    def entries_come(self, data: st.DataObject) -> None:
        self.shared(data.draw(st.integers(0, self.hands.wanted)))

    def shared(self, count: int) -> None:
        entries = [Entry(b"%06d" % next(self.ids), 1, 1, {}) for _ in range(count)]
        shared = self.hands.share(entries)
        assert [entry for _, share in shared for entry in share] == entries
        for worker, share in shared:
            assert 0 < len(share) <= self.wants[worker]
            assert not self.inbox[worker], "a second share while one is on its way"
            self.inbox[worker].append(share)
            self.wants[worker] = 0
            ids = {entry.entry_id for entry in share}
            assert not ids & self.handed_out
            self.handed_out |= ids

    @rule(abreast=st.integers(1, 4), data=st.data())
    def entries_come_to_so_many_workers_at_most(self, abreast: int, data: st.DataObject) -> None:
        """While there is a backlog."""
        busy = sum(bool(shares) for shares in self.inbox.values())
        room = self.hands.room(abreast)
        assert (room > 0) == (busy < abreast and self.hands.wanted > 0)
        if room:
            self.shared(data.draw(st.integers(1, room)))
            assert sum(bool(shares) for shares in self.inbox.values()) <= abreast

    @invariant()
    def what_is_wanted_is_what_the_workers_wait_for(self) -> None:
        assert self.hands.wanted == sum(self.wants.values())

    @invariant()
    def what_is_in_hand_is_what_was_handed_out_and_is_not_dealt_with(self) -> None:
        assert sorted(self.hands.in_hand) == sorted(self.handed_out - self.done)


TestShares = Shares.TestCase
TestShares.settings = settings(deadline=None)


def test_a_demand_that_is_repeated_keeps_its_place() -> None:
    hands = HandOut()
    for worker in ("a", "b", "a"):
        hands.demand(Demand(worker, 1))
    [(first, _)] = hands.share([Entry(b"1", 1, 1, {})])
    assert first == "a"
