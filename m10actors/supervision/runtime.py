"""What all actors of one tree share."""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from m10actors.supervision.directory import Directory
from m10actors.supervision.timer import Timer


@dataclass(slots=True)
class Runtime:
    """The directory, the timer, the clock and the chance of one tree, and what is known of its end.

    `stop_by` is when, on the monotonic clock, the stop of the whole tree has to be over.
    """

    directory: Directory = field(default_factory=Directory)
    timer: Timer = field(default_factory=Timer)
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    stop_by: float = math.inf
    abandoned: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_abandoned(self) -> None:
        """One more thread that did not end when it had to."""
        with self._lock:
            self.abandoned += 1
