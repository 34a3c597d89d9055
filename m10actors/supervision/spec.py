"""Child specs and supervisor specs: what a tree is made of (OTP's `supervisor:child_spec/0` and `sup_flags/0`)."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pykka

from m10actors.supervision.backoff import Backoff
from m10actors.supervision.link import Link

SUPERVISOR_SLACK = 1.0
BRUTAL_KILL = 0.0
"""A `shutdown` time: the child is asked to end and not waited for. A thread cannot be killed; it is abandoned."""
INFINITY = math.inf
"""A `shutdown` time for a child that is a supervisor: it ends when its children have."""


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


class AutoShutdown(StrEnum):
    """Whether a supervisor ends when a significant child ends by itself: never, with any of them, with the last."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


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
    message may take without a call of `doing()` before the child counts as stuck and is replaced. `period`, where it is
    given, is how often a child that waits for messages owes a sign of life (it ticks): silent for three of them it is
    replaced as well.

    `needs` names what the child cannot work without: while one of them is down (`Tree.weather`) it is parked. With
    `significant` its end ends its supervisor, as that one's `auto_shutdown` says.
    """

    id: str
    start: Callable[[Link], pykka.ActorRef[Any]]
    restart: Restart = Restart.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    stall_after: float | None = None
    type: ChildType = ChildType.WORKER
    significant: bool = False
    period: float | None = None
    needs: frozenset[str] = frozenset()


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

    Children that were parked begin again spread over `resume_within` seconds; one that was parked again and again
    within `period` waits longer each time, by `backoff`.
    """

    id: str
    children: tuple["ChildSpec | SupervisorSpec", ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)
    restart: Restart = Restart.PERMANENT
    stop_together: bool = False
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    significant: bool = False
    needs: frozenset[str] = frozenset()
    resume_within: float = 0.5

    @property
    def shutdown(self) -> float:
        """Seconds in which all children can be stopped."""
        times = [child.shutdown for child in self.children]
        return (max(times, default=0.0) if self.stop_together else sum(times)) + SUPERVISOR_SLACK

    @property
    def start_timeout(self) -> float:
        """Seconds in which all children can be started one after another, or taken back when one does not start."""
        return sum(child.start_timeout + child.shutdown for child in self.children) + SUPERVISOR_SLACK
