"""Who wants entries, and who has which in hand: shared by the stream reader and the reclaimer. Pure bookkeeping, one
owner.
"""

from collections.abc import Sequence
from itertools import islice

from m10actors.actors.messages import Demand
from m10actors.streams import Entry


class HandOut:
    """Demands by worker, in the order in which they came, and what was handed out and is not known to be dealt with."""

    def __init__(self) -> None:
        self._wanted: dict[str, int] = {}
        self._in_hand: dict[str, list[Entry]] = {}

    @property
    def wanted(self) -> int:
        """How many entries all waiting workers want."""
        return sum(self._wanted.values())

    def room(self, abreast: int) -> int:
        """How many entries waiting workers want, if no more than so many are to have some at once."""
        free = max(0, abreast - len(self._in_hand))
        return sum(islice(self._wanted.values(), free))

    @property
    def next_want(self) -> int:
        """How many entries the longest-waiting worker wants; 0 if none waits."""
        return next(iter(self._wanted.values()), 0)

    @property
    def in_hand(self) -> list[bytes]:
        """The ids of entries that some worker has."""
        return [entry.entry_id for entries in self._in_hand.values() for entry in entries]

    def demand(self, demand: Demand) -> tuple[Entry, ...]:
        """Notes a demand; the entries that the worker's predecessor had in hand when it died, to be handed out again.

        While something is in hand that the worker has not dealt with, it is on its way to it, and the demand is from
        before: the worker will ask again. So it never has more than one share at a time.
        """
        held = [e for e in self._in_hand.pop(demand.worker, ()) if e.entry_id not in demand.dealt_with]
        if held:
            self._in_hand[demand.worker] = held
        if demand.want == 0 or held:
            self._wanted.pop(demand.worker, None)
        else:
            self._wanted[demand.worker] = demand.want  # a demand that is repeated keeps its place
        return tuple(held) if demand.fresh else ()

    def share(self, entries: Sequence[Entry]) -> list[tuple[str, tuple[Entry, ...]]]:
        """Gives entries to the workers that want them, who then want nothing more until they say so; the
        longest-waiting first.

        At most `wanted` entries can be shared.
        """
        shares = []
        at = 0
        for worker, want in list(self._wanted.items()):
            if at >= len(entries):
                break
            share = tuple(entries[at : at + want])
            at += want
            del self._wanted[worker]
            self._in_hand.setdefault(worker, []).extend(share)
            shares.append((worker, share))
        return shares
