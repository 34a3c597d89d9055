"""The base actor: the one place that meets pykka's hooks, and the one place that catches everything.

An actor is reached by its child id, does one bounded piece of work per message and lets what it cannot handle raise:
the actor ends, and its supervisor decides. Whatever is raised, `SystemExit` and `KeyboardInterrupt` included, ends this
actor alone; each end is reported once, after `on_end`, with its reason.
"""

import queue
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

import pykka

from m10actors import logs
from m10actors.supervision.directory import Asked
from m10actors.supervision.errors import AskFailed, Exit, GaveUp, NotRunning, StartFailed, TooManyAbandoned
from m10actors.supervision.exits import Crashed, ExitReason, Normal, NotStarted, Shutdown, is_abnormal
from m10actors.supervision.link import Link
from m10actors.supervision.snapshot import Budget, ChildState
from m10actors.supervision.spec import ChildSpec
from m10actors.supervision.stacks import trace_of

log = logs.logger(__name__)


class Actor(pykka.ThreadingActor):
    """A supervised actor: override `on_begin`, `on_message`, `on_end` and, where something blocks, `interrupt`.

    `stopping` is set as soon as the supervisor wants it to end: check it in loops, wait on it instead of sleeping.
    `exit_reason` is set before `on_end`. `stop()` ends the actor by itself, after the messages that came before.
    """

    use_daemon_thread = True
    actor_inbox: "queue.SimpleQueue[Any]"

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.child_id = link.child_id
        self.stopping = link.stopping
        self.exit_reason: ExitReason | None = None
        self._link = link
        self._ended = False
        link.actor = self

    def on_begin(self) -> None:
        """Runs in the actor's thread before it counts as started; raising means that the start failed."""

    def on_message(self, message: object) -> object:
        """Handles one message: one `match`. Raising is a crash; what it returns is the answer if somebody asked."""
        raise NotImplementedError(f"{type(self).__name__} handles no messages, got {message!r}")

    def on_end(self) -> None:
        """Always runs last in the actor's thread, also after a failed start or a crash: let go of what is held."""

    def interrupt(self) -> None:
        """Called from the supervisor's thread when it asks for the end: break what blocks, and return at once."""

    def tell_child(self, child_id: str, message: object) -> bool:
        """Puts a message into another actor's inbox; False if nobody runs under that id, or if this actor is over."""
        return not self._link.over and self._link.runtime.directory.tell(child_id, message)

    def tick_in(self, seconds: float, message: Hashable) -> None:
        """Has `message` delivered to this actor in `seconds`. Of equal messages that wait, the earliest stands."""
        if not self._link.over:
            self._link.runtime.timer.tick_in(self._link, seconds, message)

    def weather(self, name: str, *, up: bool, why: str = "") -> None:
        """Says that what other children need is down, or up again (see `Tree.weather`); for the one who judges it."""
        if not self._link.over:
            self._link.runtime.report(name, up=up, why=why)

    @property
    def is_current(self) -> bool:
        """False once the supervisor has given this incarnation up: another works in its place, so leave all alone."""
        return not self._link.over

    def hold(self, shut: Callable[[], object]) -> AbstractContextManager[None]:
        """See `Link.hold`: `with self.hold(sock.close): sock.recv(1)` returns when the actor has to go."""
        return self._link.hold(shut)

    def doing(self, what: str) -> None:
        """Says what it is at (shown by `m10 tree`), which counts as progress."""
        self._link.doing = what
        self._link.progress_at = self._link.runtime.clock()

    def goes_on(self) -> None:
        """Progress, at what it is doing."""
        self._link.progress_at = self._link.runtime.clock()

    def mailbox_depth(self) -> int:
        """How many messages wait; safe from any thread."""
        return self.actor_inbox.qsize()

    def child_states(self) -> tuple[ChildState, ...]:
        """The children of a supervisor; safe from any thread, never blocks."""
        return ()

    def budget(self) -> Budget | None:
        """The restart budget of a supervisor; safe from any thread, never blocks."""
        return None

    def abandoned(self) -> None:
        """Called from the supervisor's thread once it has abandoned this one: take along what depends on it."""

    def request_stop(self) -> None:
        """The supervisor's request to end; returns at once."""
        self.stopping.set()
        if not self._ended:
            try:
                self.interrupt()
            except BaseException as error:  # noqa: BLE001 - a child's hook must not take its supervisor down
                log.error("interrupt_failed", id=self.child_id, traceback=trace_of(error))
        self.actor_ref.stop(block=False)

    # pykka's hooks. They raise nothing, except to a caller that asked: pykka would stop every actor of the process on a
    # BaseException, and would run no further hook on an exception in on_start or on_stop.

    def on_start(self) -> None:
        self._link.enter()
        if self._end_if_over():
            return
        try:
            self.on_begin()
        except BaseException as error:  # noqa: BLE001 - the edge of the actor
            self._end(self._crash(error))
        else:
            self._link.has_begun()

    def on_receive(self, message: Any) -> object:
        link, clock, asked = self._link, self._link.runtime.clock, isinstance(message, Asked)
        if self._end_if_over():
            if asked:
                raise NotRunning(self.child_id)
            return None
        link.busy_since = clock()
        try:
            return self.on_message(message.question if asked else message)
        except BaseException as error:
            reason = self._crash(error)
            self._end(reason)
            if asked:
                raise AskFailed(self.child_id, reason) from error
            return None
        finally:
            link.progress_at = clock()
            link.busy_since = None

    def on_stop(self) -> None:
        self._end(Shutdown() if self.stopping.is_set() else Normal())

    def on_failure(self, _type: Any, error: Any, _traceback: Any) -> None:
        """Called only where on_receive was passed by (a proxy) or failed itself."""
        self._end(Crashed.of(error))

    @staticmethod
    def _create_actor_inbox() -> "queue.SimpleQueue[Any]":
        """pykka's seam for other inboxes: this one tells ten times as fast as the stock `queue.Queue`."""
        return queue.SimpleQueue()

    def _end_if_over(self) -> bool:
        """Ends an incarnation that its supervisor has given up, so that it does nothing more."""
        if (reason := self._link.exit_reason) is None:
            return False
        self._end(reason)
        return True

    def _end(self, reason: ExitReason) -> None:
        """Ends the actor, once: no longer reachable, then `on_end`, then the report."""
        if self.exit_reason is not None:
            return
        self.exit_reason = reason
        self._link.leave()
        self.actor_stopped.set()
        try:
            self.on_end()
        except BaseException as error:  # noqa: BLE001 - the edge of the actor
            crash = self._crash(error)
            reason = reason if is_abnormal(reason) else crash
        self._ended = True
        self._link.has_exited(reason)

    def _crash(self, error: BaseException) -> ExitReason:
        if isinstance(error, Exit):
            return error.reason
        reason = Crashed.of(error)
        if isinstance(error, GaveUp | StartFailed | TooManyAbandoned):  # a supervisor's: its own stack says nothing
            log.error("supervisor_gave_up", id=self.child_id, reason=str(error))
        else:
            log.error("child_crashed", id=self.child_id, error=str(reason), traceback=trace_of(error))
        return NotStarted(error.child_id, error.reason) if isinstance(error, StartFailed) else reason


def start_actor(spec: ChildSpec, link: Link) -> None:
    """Calls the spec's `start`; what it raises is reported through the link as the exit of the child."""
    try:
        spec.start(link)
    except BaseException as error:  # noqa: BLE001 - a child's __init__ must not take its supervisor down
        log.error("child_not_made", id=spec.id, traceback=trace_of(error))
        link.has_exited(Crashed.of(error))
        link.begun = False
        if link.actor is not None:  # __init__ failed late, or `start` failed after the actor was started
            link.stopping.set()
            link.actor.actor_ref.stop(block=False)  # and no interrupt: it may be only half made
            link.actor = None
