"""A supervisor's record of one child, and what is done to it: start, stop, abandon."""

import threading
from collections.abc import Callable

from m10actors import logs
from m10actors.supervision.actor import start_actor
from m10actors.supervision.errors import StartFailed
from m10actors.supervision.exits import ExitReason, Killed, NotStarted
from m10actors.supervision.link import Link
from m10actors.supervision.liveness import stuck
from m10actors.supervision.plan import Standing
from m10actors.supervision.runtime import Runtime
from m10actors.supervision.snapshot import ChildState, Phase
from m10actors.supervision.spec import ChildSpec, ChildType
from m10actors.supervision.stacks import stack_of

log = logs.logger(__name__)


class Child:
    """One child through all its incarnations. Changed only by its supervisor's thread, read by any.

    `link` is the present incarnation, `start_at` when to start the next one, `recent` its restarts within the period.
    """

    def __init__(self, spec: ChildSpec, runtime: Runtime) -> None:
        self.spec = spec
        self.link: Link | None = None
        self.start_at: float | None = None
        self.recent: tuple[float, ...] = ()
        self.starts = 0
        self.last_exit: ExitReason | None = None
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
        self.starts += 1
        start_actor(self.spec, link)
        if not link.settled.wait(self.spec.start_timeout):
            log.error("child_start_timed_out", id=self.spec.id, stack=stack_of(link.thread))
            link.has_exited(Killed(f"did not begin within {self.spec.start_timeout:g} s"))
        if link.begun:
            log.info("child_started", id=self.spec.id, starts=self.starts)
        elif (reason := link.exit_reason) is not None:
            self.stop()
            failed = reason if isinstance(reason, NotStarted) else NotStarted(self.spec.id, reason)
            raise StartFailed(failed.child_id, failed.reason)

    def start_later(self, at: float) -> None:
        """To be started at that time, or later where a wait of its own is not over."""
        self.start_at = max(at, self.start_at or 0.0)

    def ask_to_end(self) -> None:
        """Asks the present incarnation to end, and returns at once; `stop` waits for it."""
        if self.link is not None and self.link.actor is not None:
            self.link.actor.request_stop()

    def stop(self) -> None:
        """Asks the present incarnation to end and waits for its thread; past its shutdown time, abandons it."""
        link, self.start_at = self.link, None
        if link is None:
            return
        self.ask_to_end()
        if not link.join(self._shutdown_time()):
            self._abandon(link)

    def forget(self) -> None:
        """The present incarnation is done with: its reason is kept, its reports are no longer heard."""
        if self.link is not None:
            self.last_exit, self.link = self.link.exit_reason, None

    def take_out_if_stuck(self, now: float) -> None:
        """Declares the present incarnation over if it makes no progress; the exit is reported as any other."""
        if self.link is None or self.link.over:
            return
        if (why := stuck(self.link.vitals(), now, self.spec.stall_after, self.spec.shutdown)) is not None:
            log.error("child_stuck", id=self.spec.id, why=why, stack=stack_of(self.link.thread))
            self.link.has_exited(Killed(why))

    def standing(self) -> Standing:
        """What the restart plan needs to know."""
        return Standing(self.spec.id, self.spec.restart, running=self.link is not None)

    def state(self) -> ChildState:
        """What `m10 tree` shows; reads only, takes no lock, so that a busy child cannot hold it up."""
        link, now = self.link, self._runtime.clock()
        actor = link.actor if link is not None else None
        return ChildState(
            id=self.spec.id,
            type=self.spec.type,
            phase=self._phase(link),
            restarts=max(0, self.starts - 1),
            last_exit=str(self.last_exit) if self.last_exit is not None else None,
            age=now - link.began_at if link is not None else None,
            progress_age=now - link.progress_at if link is not None else None,
            mailbox=actor.mailbox_depth() if actor is not None else None,
            doing=link.doing if link is not None else "",
            children=actor.child_states() if actor is not None else (),
        )

    def _phase(self, link: Link | None) -> Phase:
        if link is None and self.start_at is not None:
            return Phase.WAITING
        if link is None:
            return Phase.FINISHED if self.starts else Phase.NOT_STARTED
        if link.over or link.stopping.is_set():
            return Phase.STOPPING
        return Phase.RUNNING if link.begun else Phase.STARTING

    def _shutdown_time(self) -> float:
        """The tree's deadline shortens a worker's time; a supervisor ends when its workers do."""
        if self.spec.type is ChildType.SUPERVISOR:
            return self.spec.shutdown
        return min(self.spec.shutdown, max(0.0, self._runtime.stop_by - self._runtime.clock()))

    def _abandon(self, link: Link) -> None:
        self._runtime.count_abandoned()
        log.error("child_abandoned", id=self.spec.id, stack=stack_of(link.thread))
        if link.thread is not None:
            link.thread.name = f"{self.spec.id} (abandoned)"
        link.has_exited(Killed("did not end in the time it had"))
