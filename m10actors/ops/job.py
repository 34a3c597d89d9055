"""What every operations job is."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does all that is due now in bounded batches, ends early when the event is set, and says what it did
    (counts by name).

    `lock`: who holds it runs the job; the others leave it.
    """

    lock: str
    run: Callable[[threading.Event], Mapping[str, int]]
