"""How a replay of many goes on: one, then a percent, then the rest; and when it stops by itself.

The verdict is one of values, so that whoever takes a replay up after a kill comes to the same: nothing is remembered
but what PostgreSQL counts.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

Phase = Literal["first", "percent", "rest"]

SMALLEST_WINDOW: Final = 20
"""Of the rest, at least so many of the newest that have come to an end are judged."""
SMALLEST_ROOM: Final = 100
"""In the rest, at least so many may be under way at once."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the items of a replay stand.

    `failing`: events that have failed since and will be tried again; they count as ended, and not well, until they are
    delivered. `tried`: those of the present trial that were replayed, `tried_ended` of them have come to an end;
    `judged`: the newest of these, as many as the window holds, and `judged_bad` of them not well.
    """

    total: int
    waiting: int
    refused: int
    replayed: int
    well: int
    dead: int
    failing: int
    tried: int
    tried_ended: int
    judged: int
    judged_bad: int

    @property
    def under_way(self) -> int:
        return self.tried - self.tried_ended

    @property
    def percent(self) -> int:
        """The first percent of the present trial."""
        return max(1, ceil((self.tried + self.waiting) / 100))


@dataclass(frozen=True, slots=True)
class Send:
    """Replay at most so many now."""

    most: int


@dataclass(frozen=True, slots=True)
class Wait:
    """What is under way has to come to an end first."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Go no further: a person has to look at it."""

    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to be replayed."""


Verdict = Send | Wait | Stop | Done


def window(total: int) -> int:
    """How many of the newest that came to an end are judged, in a replay of so many: a percent, or a few more."""
    return max(SMALLEST_WINDOW, ceil(total / 100))


def phase(tally: Tally) -> Phase:
    """first: one is tried; percent: as many as make a percent; rest: all others."""
    if tally.tried_ended == 0:
        return "first"
    return "percent" if tally.tried < tally.percent or (tally.tried == tally.percent and tally.under_way) else "rest"


def verdict(tally: Tally, stop_at: float, *, is_silent: bool) -> Verdict:
    """What comes next. `is_silent`: for a time nothing has come to an end.

    It stops as soon as more have failed than `stop_at` of the phase's size (1, a percent, the window): not before,
    since a few may fail by chance, and not after, since the others cannot make up for it.
    """
    now = phase(tally)
    size = 1 if tally.tried <= 1 else tally.percent if tally.tried <= tally.percent else window(tally.total)
    if tally.waiting == 0:
        return Wait() if tally.under_way and not is_silent else Done()
    if tally.judged_bad / size > stop_at:  # a product may round up to a whole number that was not reached
        return Stop(f"{tally.judged_bad} of the newest {tally.judged} that came to an end failed again")
    most = _target(tally, now, is_silent=is_silent) - tally.tried
    if most > 0:
        return Send(min(most, tally.waiting))
    if is_silent:
        return Stop(f"{tally.under_way} are under way and none comes to an end: does an engine run?")
    return Wait()


def _target(tally: Tally, now: Phase, *, is_silent: bool) -> int:
    """How many may have been tried by now. A percent of which half has ended and the others are silent is passed."""
    if now == "first":
        return 1
    if now == "percent" and not (is_silent and tally.tried_ended * 2 >= tally.tried >= tally.percent):
        return tally.percent
    return tally.tried_ended + max(SMALLEST_ROOM, 10 * tally.percent)
