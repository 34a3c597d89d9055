"""Alive means making progress: when a child counts as stuck."""

import math
from dataclasses import dataclass

SILENT_PERIODS = 3
"""An actor that is silent for so many of its periods is taken for deaf: one sign can be late, three are not."""

LATE_LOOK = 2
"""A look that comes later than so many intervals after the last proves nothing: the process may have stood still."""

VANISHED = "its thread died without a word"


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is seen of a child from outside; times on the monotonic clock, None where it does not apply.

    busy_since: when it took the message that it is handling. progress_at: when it last finished one or said what it is
    doing. ending_since: when it began to end. thread_alive: whether its thread runs.
    """

    busy_since: float | None
    progress_at: float
    ending_since: float | None
    thread_alive: bool


def patience(stall_after: float | None, period: float | None) -> float:
    """The shortest time in seconds for which silence can be too long; infinite if it never is."""
    deaf = SILENT_PERIODS * period if period is not None else math.inf
    return min(deaf, stall_after if stall_after is not None else math.inf)


def stuck(
    vitals: Vitals, now: float, stall_after: float | None, shutdown: float, period: float | None = None
) -> str | None:
    """Why the child must be replaced, or None.

    One message may take `stall_after` seconds without progress; where that is not given, three periods. One that waits
    for messages is stuck when it owes a sign every `period` seconds and is silent for three of them: it is alive but
    deaf, its tick was lost.
    """
    if not vitals.thread_alive:
        return VANISHED
    if vitals.ending_since is not None:
        ending = now - vitals.ending_since
        return f"ending for {ending:.1f} s" if ending > shutdown else None
    if vitals.busy_since is None:
        silent = now - vitals.progress_at
        deaf = silent > patience(None, period)
        return f"no sign for {silent:.1f} s, owed every {period:g} s" if deaf else None
    silent = now - max(vitals.busy_since, vitals.progress_at)
    limit = stall_after if stall_after is not None else patience(None, period)
    return f"no progress for {silent:.1f} s in one message" if silent > limit else None
