"""What all actors of one tree share."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from m10actors.supervision.directory import Directory
from m10actors.supervision.leaks import Leaks
from m10actors.supervision.timer import Timer
from m10actors.supervision.weather import Weather, WeatherChanged


@dataclass(slots=True)
class Runtime:
    """The directory, the timer, the weather, the leaked threads, the clock and the chance of one tree.

    `restarted` is called with the id of a child that is restarted and the cause, in its supervisor's thread.
    `supervisors` are told of the weather. `stop_by` is when, on the monotonic clock, the stop of the whole tree has to
    be over.
    """

    weather: Weather = field(default_factory=Weather)
    leaks: Leaks = field(default_factory=Leaks)
    directory: Directory = field(default_factory=Directory)
    timer: Timer = field(default_factory=Timer)
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    restarted: Callable[[str, str], None] = lambda _child_id, _cause: None
    supervisors: tuple[str, ...] = ()
    stop_by: float = math.inf

    def report(self, name: str, *, up: bool, why: str) -> None:
        """Notes that `name` is up or down, and has all supervisors look at it; from any thread, returns at once."""
        if self.weather.report(name, up=up, why=why):
            for supervisor_id in self.supervisors:  # one that is only starting sees it when it reads its inbox
                self.directory.tell(supervisor_id, WeatherChanged())
