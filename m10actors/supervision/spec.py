"""Child specs and supervisor specs: what a tree is made of, checked as a whole before anything starts."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pykka

from m10actors.supervision.backoff import Backoff, longest_wait
from m10actors.supervision.errors import InvalidSpec
from m10actors.supervision.link import Link

SUPERVISOR_SLACK = 1.0


class Restart(StrEnum):
    """When a child is restarted: always, after an abnormal exit, never."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(StrEnum):
    """Which siblings are restarted with a child: none, all, those started after it."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class ChildType(StrEnum):
    """A child that does work, or one that supervises others."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child. Times are in seconds.

    `start` makes and starts the actor with the link it is given and returns its reference; it runs in the
    supervisor's thread, so `__init__` only keeps what it is given, and what can block belongs in `on_begin`.
    `start_timeout` is how long `on_begin` may take, `shutdown` how long the child may take to end once asked;
    past it the thread is abandoned (a thread cannot be killed). `stall_after`, where it is given, is how long one
    message may take without a call of `doing()` before the child counts as stuck and is replaced.
    """

    id: str
    start: Callable[[Link], pykka.ActorRef[Any]]
    restart: Restart = Restart.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    stall_after: float | None = None
    type: ChildType = ChildType.WORKER


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """A supervisor and its children, in the order of their start.

    They stop one after another in reverse order; with `stop_together`, for a pool of equals, all are asked at once (as
    under OTP's simple_one_for_one).

    More than `intensity` restarts within `period` seconds make it give up: it stops its children and crashes, which
    its own supervisor deals with (under OTP it would end with `shutdown`, which a transient one would not survive).
    The default of 3 in 60 s is wider than OTP's 1 in 5 s on both sides: an outage is no crash here, so what crashes is
    a bug, three retries tell a bad moment from a bad program, and a thread that fails only after a blocking call's
    timeout crashes every ten seconds or so, a loop that 5 s would never see.
    """

    id: str
    children: tuple["ChildSpec | SupervisorSpec", ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)
    restart: Restart = Restart.PERMANENT
    stop_together: bool = False

    @property
    def shutdown(self) -> float:
        """Seconds in which all children can be stopped."""
        times = [child.shutdown for child in self.children]
        return (max(times, default=0.0) if self.stop_together else sum(times)) + SUPERVISOR_SLACK

    @property
    def start_timeout(self) -> float:
        """Seconds in which all children can be started one after another, or taken back when one does not start."""
        return sum(child.start_timeout + child.shutdown for child in self.children) + SUPERVISOR_SLACK


def check(root: SupervisorSpec) -> None:
    """Raises InvalidSpec with every problem of the whole tree."""
    specs = tuple(_walk(root))
    problems = [f"the id {name!r} stands {n} times" for name, n in Counter(spec.id for spec in specs).items() if n > 1]
    for spec in specs:
        found = _supervisor_problems(spec) if isinstance(spec, SupervisorSpec) else _child_problems(spec)
        problems.extend(f"{spec.id}: {problem}" for problem in found)
    if problems:
        raise InvalidSpec(tuple(problems))


def _walk(spec: ChildSpec | SupervisorSpec) -> Iterator[ChildSpec | SupervisorSpec]:
    yield spec
    if isinstance(spec, SupervisorSpec):
        for child in spec.children:
            yield from _walk(child)


def _child_problems(spec: ChildSpec) -> Iterator[str]:
    yield from _id_problems(spec.id)
    if not 0 <= spec.shutdown < math.inf:
        yield f"shutdown must be 0 seconds or more, got {spec.shutdown}"
    if not 0 < spec.start_timeout < math.inf:
        yield f"start_timeout must be more than 0 seconds, got {spec.start_timeout}"
    if spec.stall_after is not None and not 0 < spec.stall_after < math.inf:
        yield f"stall_after must be more than 0 seconds, got {spec.stall_after}"


def _supervisor_problems(spec: SupervisorSpec) -> Iterator[str]:
    yield from _id_problems(spec.id)
    if spec.intensity < 0:
        yield f"intensity must be 0 or more, got {spec.intensity}"
    if not 0 < spec.period < math.inf:
        yield f"period must be more than 0 seconds, got {spec.period}"
    if not 0 < spec.backoff.base <= spec.backoff.cap < math.inf:
        yield f"backoff must have 0 < base <= cap, got base {spec.backoff.base} and cap {spec.backoff.cap}"
    elif 0 < spec.period <= (waiting := longest_wait(spec.backoff, spec.intensity)):
        yield f"backoff can wait {waiting:g} s over {spec.intensity} restarts, past the period of {spec.period:g} s"


def _id_problems(name: str) -> Iterator[str]:
    if not name or not name.isprintable() or any(letter.isspace() for letter in name):
        yield f"an id must be printable, without spaces, not empty, got {name!r}"
