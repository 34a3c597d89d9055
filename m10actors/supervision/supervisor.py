"""The supervisor: starts its children in order, watches, applies a plan when one ends or the weather changes, and stops
them in reverse.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from m10actors import logs
from m10actors.supervision.actor import Actor
from m10actors.supervision.backoff import restart_delay
from m10actors.supervision.child import Child
from m10actors.supervision.errors import Exit, GaveUp, StartFailed, TooManyAbandoned
from m10actors.supervision.exits import ExitReason, Shutdown, cause
from m10actors.supervision.intensity import add_restart, restarts_within
from m10actors.supervision.link import Exited, Link
from m10actors.supervision.liveness import patience
from m10actors.supervision.plan import (
    Standing,
    due_starts,
    held_up,
    plan_parking,
    plan_restart,
    resume_delay,
    should_restart,
    shuts_down,
    stays_parked,
)
from m10actors.supervision.snapshot import Budget, ChildState
from m10actors.supervision.spec import ChildSpec, ChildType, SupervisorSpec
from m10actors.supervision.weather import WeatherChanged

log = logs.logger(__name__)

WATCH_EVERY = 1.0
LOOKS = 4
"""A child is looked at so often within the shortest time that it may be silent."""
SIGN_EVERY = 10.0
"""Seconds between two signs of life that a supervisor owes its own supervisor; it gives one whenever it watches."""


class Supervisor(Actor):
    """One supervisor: an actor like its children, whose inbox puts their exits in order."""

    def __init__(self, link: Link, spec: SupervisorSpec) -> None:
        self._spec = spec
        self._clock, self._weather, self._chance = link.runtime.clock, link.runtime.weather, link.runtime.chance
        specs = [as_child(child) for child in spec.children]
        self._children = {child.id: Child(child, link.runtime) for child in specs}
        shortest = min((patience(child.stall_after, child.period) for child in specs), default=math.inf)
        self._watch_every = min(WATCH_EVERY, shortest / LOOKS)
        self._restarts: tuple[float, ...] = ()
        super().__init__(link)  # last: from now on others see this actor, and look at its children

    def on_begin(self) -> None:
        for child in self._children.values():
            self._follow_weather()
            if not child.parked_on and child.start_at is None:
                self._begin(child)
        started = [child.spec.id for child in self._children.values() if child.link is not None]
        log.info("children_started", id=self.child_id, children=started)
        self.tick_in(self._watch_every, _Watch())

    def on_message(self, message: object) -> None:
        match message:
            case Exited(link):
                child = self._children[link.child_id]
                if child.link is link and link.exit_reason is not None:
                    self._deal_with_exit(child, link.exit_reason)
            case _Watch():
                for child in self._children.values():
                    child.take_out_if_stuck(self._clock(), self._watch_every)
                self.tick_in(self._watch_every, message)
            case _StartDue() | WeatherChanged():
                pass
            case TooManyAbandoned():  # told to the root: the tree as a whole cannot go on
                raise message
            case _:
                log.warning("unexpected_message", message=type(message).__name__)
        if not any(child.link is not None and child.link.over for child in self._children.values()):
            self._follow_weather()
            self._start_due()
        # else its exit waits in the inbox and comes first: it may change who is to be started, and in what order

    def on_end(self) -> None:
        self._stop_all(reversed(self._children.values()))

    def interrupt(self) -> None:
        # Ends the wait for a child that is starting. No wake-up is lost: `stopping` was set before this looks for a
        # link, and Child.start shows its link before it looks at `stopping`.
        for child in self._children.values():
            if (link := child.link) is not None:
                link.settled.set()

    def abandoned(self) -> None:
        for child in self._children.values():
            child.cut_off()

    def child_states(self) -> tuple[ChildState, ...]:
        return tuple(child.state() for child in self._children.values())

    def budget(self) -> Budget:
        spec = self._spec
        spent = len(restarts_within(self._restarts, self._clock(), spec.period))
        return Budget(spec.strategy, spent, spec.intensity, spec.period)

    def _child_exited(self, link: Link) -> None:
        self._link.deliver(Exited(link))

    def _standings(self) -> list[Standing]:
        return [child.standing() for child in self._children.values()]

    def _held_up(self, child: Child) -> frozenset[str]:
        return held_up(self._standings(), self._weather.down, self._spec.strategy).get(child.spec.id, frozenset())

    def _begin(self, child: Child) -> None:
        """Starts the child; one that the weather keeps from beginning is parked, which counts as started."""
        try:
            child.start(self._child_exited, unless=self.stopping)
        except StartFailed:
            child.forget()
            if not (on := self._held_up(child)):
                raise
            self._park([(child, on)])

    def _stop_all(self, children: Iterable[Child]) -> None:
        """One after another; those that stop together are all asked first."""
        stopping = list(children)
        if self._spec.stop_together:
            for child in stopping:
                child.ask_to_end()
        for child in stopping:
            child.stop()

    # A child has ended

    def _deal_with_exit(self, child: Child, reason: ExitReason) -> None:
        child.stop()  # its thread has let go of all it held, or is abandoned, before another takes its place
        child.forget()
        if not should_restart(child.spec.restart, reason):
            self._finish(child, reason)
        elif on := self._held_up(child):  # the weather, not the child: nothing is counted; its group follows it
            self._park([(child, on)])
        else:
            self._restart(child, reason)

    def _restart(self, child: Child, reason: ExitReason) -> None:
        plan = plan_restart(self._standings(), child.spec.id, reason, self._spec.strategy)
        delay = self._count_restart(child, reason)
        log.warning(
            "child_restarting", id=child.spec.id, reason=str(reason), delay_seconds=round(delay, 3), with_it=plan.start
        )
        self._stop_all([self._children[name] for name in plan.stop])
        for name in plan.stop:
            self._children[name].forget()
            self._children[name].finish()  # unless it is among those that start
        for name in plan.start:
            if not self._children[name].parked_on:  # else it follows the weather
                self._children[name].start_later(self._clock() + delay)
                self._link.runtime.restarted(name, cause(reason) if name == child.spec.id else "sibling")

    def _finish(self, child: Child, reason: ExitReason) -> None:
        child.finish()
        log.info("child_finished", id=child.spec.id, reason=str(reason))
        if shuts_down(self._standings(), child.spec.id, self._spec.auto_shutdown):
            log.info("supervisor_finished", id=self.child_id, because_of=child.spec.id)
            raise Exit(Shutdown())

    def _count_restart(self, child: Child, reason: ExitReason) -> float:
        """The delay before the restart, in seconds; raises GaveUp when there have been too many."""
        spec, now = self._spec, self._clock()
        self._restarts, exceeded = add_restart(self._restarts, now, spec.intensity, spec.period)
        if exceeded:
            raise GaveUp(self.child_id, child.spec.id, reason, f"{spec.intensity} restarts in {spec.period:g} s")
        child.recent = (*restarts_within(child.recent, now, spec.period), now)
        return restart_delay(spec.backoff, len(child.recent), self._chance())

    # The weather has changed

    def _follow_weather(self) -> None:
        plan = plan_parking(self._standings(), self._weather.down, self._spec.strategy)
        if plan.park:
            self._park([(self._children[name], on) for name, on in plan.park])
        if plan.resume:
            self._resume([self._children[name] for name in plan.resume])

    def _park(self, children: list[tuple[Child, frozenset[str]]]) -> None:
        now, newly = self._clock(), [child for child, _ in children if not child.parked_on]
        self._stop_all(newly)
        for child, on in children:
            reason = child.forget()
            if reason is not None and not stays_parked(child.spec.restart, reason):
                newly.remove(child)
                self._finish(child, reason)
                continue
            if child in newly:
                child.parks = (*restarts_within(child.parks, now, self._spec.period), now)
            child.park(on)
        if newly:
            names = frozenset().union(*(child.parked_on for child in newly))
            ids = [child.spec.id for child in newly]
            log.info("children_parked", id=self.child_id, children=ids, because=self._weather.why(names))

    def _resume(self, children: list[Child]) -> None:
        """In order, spread over a while; whoever was parked again and again waits longer, so that nothing thrashes."""
        spec, now = self._spec, self._clock()
        for position, child in enumerate(children):
            calm = restart_delay(spec.backoff, len(restarts_within(child.parks, now, spec.period)), self._chance())
            spread = resume_delay(position, len(children), spec.resume_within, self._chance())
            child.start_later(now + calm + spread)
        log.info("children_resumed", id=self.child_id, children=[child.spec.id for child in children])

    def _start_due(self) -> None:
        waiting = [(child.spec.id, child.start_at) for child in self._children.values() if child.start_at is not None]
        due, next_at = due_starts(waiting, self._clock(), self._spec.strategy)
        for name in due:
            try:
                self._children[name].start(self._child_exited, unless=self.stopping)
            except StartFailed:
                return  # dealt with as any other exit, see on_message
        if next_at is not None:
            self.tick_in(next_at - self._clock(), _StartDue())


@dataclass(frozen=True, slots=True)
class _Watch:
    """Look for children that are stuck."""


@dataclass(frozen=True, slots=True)
class _StartDue:
    """A child's delay is over."""


def as_child(spec: ChildSpec | SupervisorSpec) -> ChildSpec:
    """How a supervisor sees a child that is a supervisor itself."""
    if isinstance(spec, ChildSpec):
        return spec
    return ChildSpec(
        id=spec.id,
        start=lambda link: Supervisor.start(link, spec),
        restart=spec.restart,
        shutdown=spec.shutdown,
        start_timeout=spec.start_timeout,
        type=ChildType.SUPERVISOR,
        significant=spec.significant,
        stall_after=spec.start_timeout + spec.shutdown,
        period=SIGN_EVERY,
        needs=spec.needs,
    )
