"""A supervisor's record of one child, and what is done to it: start, stop, park, take out, abandon."""

import math
import threading
from collections.abc import Callable

from m10actors import logs
from m10actors.supervision.actor import start_actor
from m10actors.supervision.errors import StartFailed
from m10actors.supervision.exits import ExitReason, Killed, NotStarted
from m10actors.supervision.link import Link
from m10actors.supervision.liveness import LATE_LOOK, VANISHED, stuck
from m10actors.supervision.plan import Standing
from m10actors.supervision.runtime import Runtime
from m10actors.supervision.snapshot import ChildState, Phase
from m10actors.supervision.spec import SUPERVISOR_SLACK, ChildSpec, ChildType
from m10actors.supervision.stacks import stack_of

log = logs.logger(__name__)

LET_GO = 0.25
"""Seconds before the end of its shutdown time at which what a child holds is shut, so that it can still end well."""


class Child:
    """One child through all its incarnations. Changed only by its supervisor's thread, read by any.

    `link` is the present incarnation, `start_at` when to start the next one, `parked_on` what has to be up before that;
    `recent` its restarts within the period, `parks` when it was parked within the period.
    """

    def __init__(self, spec: ChildSpec, runtime: Runtime) -> None:
        self.spec = spec
        self.link: Link | None = None
        self.start_at: float | None = None
        self.parked_on: frozenset[str] = frozenset()
        self.recent: tuple[float, ...] = ()
        self.parks: tuple[float, ...] = ()
        self.finished = False
        self.last_exit: ExitReason | None = None
        self._restarts = 0
        self._is_fresh = True
        self._taken_out = 0
        self._suspected: tuple[Link, float] | None = None
        self._looked_at = -math.inf
        self._runtime = runtime

    def start(self, on_exit: Callable[[Link], None], unless: threading.Event) -> None:
        """Starts a new incarnation and waits until it has begun; raises StartFailed, with its exit reported as well.

        Does nothing if `unless` is set. Who sets it while this waits sets `link.settled` too, which ends the wait and
        leaves the child to be stopped.
        """
        link = self.link = Link(self.spec.id, self._runtime, on_exit)
        self.start_at = None
        if unless.is_set():
            self.link = None
            return
        self._restarts += not self._is_fresh
        start_actor(self.spec, link)
        if not link.settled.wait(min(self.spec.start_timeout, threading.TIMEOUT_MAX)):
            log.error("child_start_timed_out", id=self.spec.id, stack=stack_of(link.thread))
            link.has_exited(Killed(f"did not begin within {self.spec.start_timeout:g} s"))
            link.let_go()
        if link.begun:
            if not self._is_fresh:
                log.info("child_started", id=self.spec.id, restarts=self._restarts)
            self._is_fresh = False
        elif (reason := link.exit_reason) is not None:
            self._is_fresh = False
            self.stop()
            failed = reason if isinstance(reason, NotStarted) else NotStarted(self.spec.id, reason)
            raise StartFailed(failed.child_id, failed.reason)

    def start_later(self, at: float) -> None:
        """To be started at that time, or later where a wait of its own is not over."""
        self.start_at = max(at, self.start_at or 0.0)
        self.finished, self.parked_on = False, frozenset()

    def park(self, on: frozenset[str]) -> None:
        """Not to be started before these names are up; what starts then is no restart."""
        self.parked_on, self.start_at, self._is_fresh = on, None, True

    def finish(self) -> None:
        """Not to be started again."""
        self.finished, self.start_at, self.parked_on = True, None, frozenset()

    def ask_to_end(self) -> None:
        """Asks the present incarnation to end, and returns at once; `stop` waits."""
        if self.link is not None:
            self._ask(self.link)

    def stop(self) -> None:
        """Asks the present incarnation to end and waits for its thread; past its shutdown time, abandons it.

        The time counts from the first request, so that children that are asked together have it together.
        """
        self.start_at = None
        if self.link is not None:
            self._end(self.link)

    def cut_off(self) -> None:
        """Its supervisor hangs and was abandoned: the child is over too, for it cannot be left to nobody.

        It is stopped in a thread of its own, for what asks it to end may be just that in which its supervisor hangs.
        """
        if (link := self.link) is not None:
            link.has_exited(Killed("its supervisor was abandoned"))
            threading.Thread(target=self._end, args=(link,), name=f"{self.spec.id} (cut off)", daemon=True).start()

    def forget(self) -> ExitReason | None:
        """The present incarnation is done with: its reason is kept, its reports are no longer heard. None: none ran."""
        if (link := self.link) is None:
            return None
        self.last_exit, self.link = link.exit_reason, None
        return link.exit_reason

    def take_out_if_stuck(self, now: float, look_every: float) -> None:
        """Declares the present incarnation over if it makes no progress; the exit is reported as any other.

        It has to be seen stuck twice with nothing in between: the whole process may have been stopped for a while. So
        that the child had time to run between the two, a look that comes much later than `look_every` seconds after
        the last is a first one.
        """
        is_first = now - self._looked_at > LATE_LOOK * look_every
        self._looked_at = now
        link = self.link
        if link is None or link.over:
            return
        why = stuck(link.vitals(), now, self.spec.stall_after, self.spec.shutdown, self.spec.period)
        seen = (link, link.progress_at) if why is not None else None
        before, self._suspected = self._suspected, seen
        if why is None or is_first or seen != before:
            return
        self._taken_out += 1
        log.error("child_taken_out", id=self.spec.id, why=why, doing=link.doing, stack=stack_of(link.thread))
        link.has_exited(Killed(why))
        self.ask_to_end()
        link.let_go()

    def standing(self) -> Standing:
        """What the plans need to know."""
        spec = self.spec
        return Standing(
            spec.id, spec.restart, self.link is not None, self.finished, spec.significant, spec.needs, self.parked_on
        )

    def state(self) -> ChildState:
        """What `m10 tree` shows; reads only, takes no lock, so that a busy child cannot hold it up."""
        link, now = self.link, self._runtime.clock()
        actor = link.actor if link is not None else None
        return ChildState(
            id=self.spec.id,
            type=self.spec.type,
            phase=self._phase(link),
            restarts=self._restarts,
            last_exit=str(self.last_exit) if self.last_exit is not None else None,
            age=now - link.began_at if link is not None else None,
            progress_age=now - link.progress_at if link is not None else None,
            mailbox=actor.mailbox_depth() if actor is not None else None,
            doing=link.doing if link is not None else "",
            children=actor.child_states() if actor is not None else (),
            parked_on=tuple(sorted(self.parked_on)),
            taken_out=self._taken_out,
            leaked=self._runtime.leaks.of(self.spec.id),
            budget=actor.budget() if actor is not None else None,
        )

    def _phase(self, link: Link | None) -> Phase:
        if link is not None:
            if link.over or link.stopping.is_set():
                return Phase.STOPPING
            return Phase.RUNNING if link.begun else Phase.STARTING
        if self.parked_on:
            return Phase.PARKED
        if self.finished:
            return Phase.FINISHED
        return Phase.NOT_STARTED if self._is_fresh and self.start_at is None else Phase.WAITING

    def _ask(self, link: Link) -> float:
        """When it was first asked."""
        if link.asked_at is None:
            link.asked_at = self._runtime.clock()
        if link.actor is not None:
            link.actor.request_stop()
        return link.asked_at

    def _end(self, link: Link) -> None:
        asked_at = self._ask(link)
        stop_by = self._stop_by(asked_at)
        if not self._join(link, stop_by - min(LET_GO, (stop_by - asked_at) / 2)):
            link.let_go()
            if not self._join(link, stop_by):
                self._abandon(link)
                return
        link.has_exited(Killed(VANISHED))  # which it has said itself, if it could

    def _stop_by(self, asked_at: float) -> float:
        """The tree's deadline shortens a child's time; a supervisor has a little longer, to stop those below it."""
        slack = SUPERVISOR_SLACK if self.spec.type is ChildType.SUPERVISOR else 0.0
        return min(asked_at + self.spec.shutdown, self._runtime.stop_by + slack)

    def _join(self, link: Link, until: float) -> bool:
        return link.join(max(0.0, until - self._runtime.clock()))

    def _abandon(self, link: Link) -> None:
        link.has_exited(Killed("did not end in the time it had"))
        if not self._runtime.leaks.add(link, self._runtime.clock()):
            return  # its supervisor was abandoned, came back and found it abandoned as well
        log.error("child_abandoned", id=self.spec.id, why=str(link.exit_reason), stack=stack_of(link.thread))
        if link.thread is not None:
            link.thread.name = f"{self.spec.id} (abandoned)"
        if link.actor is not None:
            link.actor.abandoned()
