"""Supervisors: start in order, watch, apply a restart plan, stop in reverse. And their tree, seen from outside."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from m10actors import logs
from m10actors.supervision.actor import Actor
from m10actors.supervision.backoff import restart_delay
from m10actors.supervision.child import Child
from m10actors.supervision.errors import GaveUp, StartFailed
from m10actors.supervision.exits import ExitReason, Normal
from m10actors.supervision.intensity import add_restart, restarts_within
from m10actors.supervision.link import Exited, Link
from m10actors.supervision.plan import due_starts, plan_restart
from m10actors.supervision.runtime import Runtime
from m10actors.supervision.snapshot import ChildState
from m10actors.supervision.spec import ChildSpec, ChildType, SupervisorSpec, check

log = logs.logger(__name__)

WATCH_EVERY = 1.0


def start_tree(root: SupervisorSpec, on_give_up: Callable[[ExitReason], None] | None = None) -> "Tree":
    """Checks the whole tree and starts it, child by child, in order.

    Raises InvalidSpec with every problem before anything is started, and StartFailed when a child does not begin,
    after those that had begun were stopped, in reverse. `on_give_up` is called once, in the root's thread, when the
    root ends without having been asked to.
    """
    check(root)
    tree = Tree(root, on_give_up)
    try:
        tree.start()
    except BaseException:  # a signal handler that raises must leave no thread behind either
        tree.stop()
        raise
    return tree


class Tree:
    """A running tree, for the main thread and for those who serve requests."""

    def __init__(self, root: SupervisorSpec, on_give_up: Callable[[ExitReason], None] | None = None) -> None:
        self.given_up = threading.Event()
        self.exit_reason: ExitReason | None = None
        self._on_give_up = on_give_up
        self._runtime = Runtime()
        self._root = Child(_as_child(root), self._runtime)
        self._wanted_down = False

    @property
    def abandoned(self) -> int:
        """How many threads did not end when they had to. None can be killed: many are a reason to end the process."""
        return self._runtime.abandoned

    def start(self) -> None:
        """See `start_tree`."""
        self._root.start(self._root_exited, unless=threading.Event())

    def tell(self, child_id: str, message: object) -> bool:
        """Puts a message into a child's inbox; False if nobody runs under that id at the moment."""
        return self._runtime.directory.tell(child_id, message)

    def ask(self, child_id: str, message: object, timeout: float) -> object:
        """What the child's `on_message` returns; raises NotRunning, NoReply after `timeout` seconds, or AskFailed.

        A child that raises on a question crashes as on any other message. Never ask from inside the tree.
        """
        return self._runtime.directory.ask(child_id, message, timeout)

    def snapshot(self) -> ChildState:
        """The root and all below it; never waits for any of them."""
        return self._root.state()

    def stop(self, deadline: float = float("inf")) -> None:
        """Stops all children in reverse order; those that have not ended `deadline` seconds from now are abandoned."""
        self._wanted_down = True
        self._runtime.stop_by = self._runtime.clock() + deadline
        self._root.stop()
        self._runtime.timer.close()
        log.info("tree_stopped", abandoned=self.abandoned)

    def _root_exited(self, link: Link) -> None:
        self.exit_reason = link.exit_reason
        if self._wanted_down or not link.begun:
            return
        log.error("tree_gave_up", reason=str(link.exit_reason))
        self.given_up.set()
        if self._on_give_up is not None:
            self._on_give_up(link.exit_reason or Normal())


class Supervisor(Actor):
    """One supervisor: an actor like its children, whose inbox puts their exits in order."""

    def __init__(self, link: Link, spec: SupervisorSpec) -> None:
        super().__init__(link)
        self._spec = spec
        self._clock = link.runtime.clock
        specs = [_as_child(child) for child in spec.children]
        self._children = {child.id: Child(child, link.runtime) for child in specs}
        self._watch_every = min([WATCH_EVERY, *(child.stall_after / 4 for child in specs if child.stall_after)])
        self._restarts: tuple[float, ...] = ()

    def on_begin(self) -> None:
        for child in self._children.values():
            child.start(self._child_exited, unless=self.stopping)
        self.tick_in(self._watch_every, _Watch())

    def on_message(self, message: object) -> None:
        match message:
            case Exited(link):
                child = self._children[link.child_id]
                if child.link is link and link.exit_reason is not None:
                    self._deal_with_exit(child, link.exit_reason)
            case _Watch():
                for child in self._children.values():
                    child.take_out_if_stuck(self._clock())
                self.tick_in(self._watch_every, message)
            case _StartDue():
                pass
            case _:
                log.warning("unexpected_message", message=repr(message))
        self._start_due()

    def on_end(self) -> None:
        if self._spec.stop_together:
            for child in self._children.values():
                child.ask_to_end()
        for child in reversed(self._children.values()):
            child.stop()

    def interrupt(self) -> None:
        # Ends the wait for a child that is starting. No wake-up is lost: `stopping` was set before this looks for a
        # link, and Child.start shows its link before it looks at `stopping`.
        for child in self._children.values():
            if (link := child.link) is not None:
                link.settled.set()

    def child_states(self) -> tuple[ChildState, ...]:
        return tuple(child.state() for child in self._children.values())

    def _child_exited(self, link: Link) -> None:
        self._link.deliver(Exited(link))

    def _deal_with_exit(self, child: Child, reason: ExitReason) -> None:
        standing = [sibling.standing() for sibling in self._children.values()]
        child.stop()  # its thread has let go of all it held, or is abandoned, before another takes its place
        child.forget()
        plan = plan_restart(standing, child.spec.id, reason, self._spec.strategy)
        if not plan.start:
            log.info("child_finished", id=child.spec.id, reason=str(reason))
            return
        delay = self._count_restart(child, reason)
        log.warning(
            "child_restarting", id=child.spec.id, reason=str(reason), delay_seconds=round(delay, 3), with_it=plan.start
        )
        for name in plan.stop:
            self._children[name].stop()
            self._children[name].forget()
        for name in plan.start:
            self._children[name].start_later(self._clock() + delay)

    def _count_restart(self, child: Child, reason: ExitReason) -> float:
        """The delay before the restart, in seconds; raises GaveUp when there have been too many."""
        spec, now = self._spec, self._clock()
        self._restarts, exceeded = add_restart(self._restarts, now, spec.intensity, spec.period)
        if exceeded:
            raise GaveUp(self.child_id, child.spec.id, reason, f"{spec.intensity} restarts in {spec.period:g} s")
        child.recent = (*restarts_within(child.recent, now, spec.period), now)
        return restart_delay(spec.backoff, len(child.recent), self._link.runtime.chance())

    def _start_due(self) -> None:
        if any(child.link is not None and child.link.over for child in self._children.values()):
            return  # its exit waits in the inbox and comes first: it may change who is to be started, and in what order
        waiting = [(child.spec.id, child.start_at) for child in self._children.values() if child.start_at is not None]
        due, next_at = due_starts(waiting, self._clock(), self._spec.strategy)
        for name in due:
            try:
                self._children[name].start(self._child_exited, unless=self.stopping)
            except StartFailed:
                return  # dealt with as any other exit, see above
        if next_at is not None:
            self.tick_in(next_at - self._clock(), _StartDue())


@dataclass(frozen=True, slots=True)
class _Watch:
    """Look for children that are stuck."""


@dataclass(frozen=True, slots=True)
class _StartDue:
    """A child's delay is over."""


def _as_child(spec: ChildSpec | SupervisorSpec) -> ChildSpec:
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
    )
