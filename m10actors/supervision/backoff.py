"""How long to wait before a restart."""

import math
from dataclasses import dataclass

_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delays before the restarts of one child, in seconds: none, then `base`, doubled each time up to `cap`."""

    base: float = 0.1
    cap: float = 5.0


def restart_delay(backoff: Backoff, attempt: int, chance: float) -> float:
    """Seconds to wait before restart number `attempt` (from 1) within the period.

    The first is immediate: most crashes are cured by it. Later ones are jittered between half and all of the
    delay by `chance` in 0..1, so that children that crashed together do not come back together.
    """
    if attempt <= 1:
        return 0.0
    return _full_delay(backoff, attempt) * (0.5 + chance / 2)


def longest_wait(backoff: Backoff, restarts: int) -> float:
    """The most seconds that one child can spend waiting for its first `restarts` restarts."""
    growing = min(restarts, _DOUBLINGS)
    return sum(_full_delay(backoff, attempt) for attempt in range(2, growing + 1)) + backoff.cap * (restarts - growing)


def _full_delay(backoff: Backoff, attempt: int) -> float:
    return min(backoff.cap, math.ldexp(backoff.base, min(attempt - 2, _DOUBLINGS)))
