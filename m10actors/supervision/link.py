"""The tie between a supervisor and one incarnation of a child: what each tells the other, safely across two threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pykka

from m10actors import logs
from m10actors.supervision import current
from m10actors.supervision.exits import ExitReason
from m10actors.supervision.liveness import Vitals
from m10actors.supervision.stacks import trace_of

if TYPE_CHECKING:
    from m10actors.supervision.actor import Actor
    from m10actors.supervision.runtime import Runtime

log = logs.logger(__name__)


class Link:
    """One incarnation of a child. The link itself is the generation token: a restart makes a new one.

    Once `exit_reason` is set the incarnation is over, whatever its thread still does: it is in no directory, gets no
    messages and no ticks, reaches no sibling, and what it reports later is not heard.
    """

    def __init__(self, child_id: str, runtime: "Runtime", on_exit: Callable[["Link"], None]) -> None:
        self.child_id = child_id
        self.runtime = runtime
        self.stopping = threading.Event()
        self.entered = threading.Event()
        self.settled = threading.Event()
        self.begun = False
        self.exit_reason: ExitReason | None = None
        self.thread: threading.Thread | None = None
        self.actor: Actor | None = None
        self.began_at = runtime.clock()
        self.busy_since: float | None = None
        self.progress_at = self.began_at
        self.ending_since: float | None = None
        self.asked_at: float | None = None
        self.abandoned = False
        self.doing = ""
        self._on_exit = on_exit
        self._exit_lock = threading.Lock()
        self._held: list[Callable[[], object]] = []
        self._lets_go = False
        self._hold_lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether this incarnation has ended or has been given up."""
        return self.exit_reason is not None

    def enter(self) -> None:
        """Called by the child's thread before anything else: from now on it can be joined and reached by its id."""
        self.thread = threading.current_thread()
        self.thread.name = self.child_id
        current.enter(self)
        self.runtime.directory.enter(self)
        self.entered.set()

    def leave(self) -> None:
        """Nobody finds it any more, by its id or in pykka's registry, and its ticks are cancelled."""
        self.ending_since = self.runtime.clock()
        self.runtime.directory.leave(self)
        if self.actor is not None:
            pykka.ActorRegistry.unregister(self.actor.actor_ref)
        self.runtime.timer.cancel(self)

    def has_begun(self) -> None:
        """Called by the child's thread: its start is done, and the supervisor may go on."""
        self.progress_at = self.runtime.clock()
        with (
            self._exit_lock
        ):  # against a supervisor whose patience ends at this moment: it began in time, or not at all
            self.begun = not self.over
        self.settled.set()

    def has_exited(self, reason: ExitReason) -> None:
        """Reports the end to the supervisor, once. The child's thread and the supervisor may both come here."""
        with self._exit_lock:
            if self.over:
                return
            self.exit_reason = reason
        self.leave()
        self.settled.set()
        self._on_exit(self)

    def deliver(self, message: object) -> bool:
        """Puts a message into the inbox of this incarnation; False if it is over."""
        actor = self.actor  # once: a start that fails takes it back
        if actor is None or self.over:
            return False
        try:
            actor.actor_ref.tell(message)
        except pykka.ActorDeadError:
            return False
        return True

    @contextmanager
    def hold(self, shut: Callable[[], object]) -> Iterator[None]:
        """While the child is in a call that may block: `shut` makes that call return, for instance with a shut socket.

        It is called, from the supervisor's thread, when the incarnation is taken out or its time to end runs out, and
        at once in an incarnation for which that has happened. It must return at once, and is never called after the
        `with` block: what it shuts may have another owner by then.
        """
        with self._hold_lock:
            self._held.append(shut)
            if self._lets_go:
                self._shut(shut)
        try:
            yield
        finally:
            with self._hold_lock:  # waits for a shut that is under way
                self._held.remove(shut)

    def let_go(self) -> None:
        """Shuts what the child holds, now and whenever it holds something again."""
        with self._hold_lock:
            self._lets_go = True
            for shut in self._held:
                self._shut(shut)

    def _shut(self, shut: Callable[[], object]) -> None:
        try:
            shut()
        except BaseException as error:  # noqa: BLE001 - a child's hook must not take its supervisor down
            log.error("shut_failed", id=self.child_id, traceback=trace_of(error))

    def join(self, within: float) -> bool:
        """Waits up to `within` seconds for the child's thread; whether it is gone."""
        if self.thread is None and self.actor is None:
            return True  # it was never made
        until = self.runtime.clock() + within
        if not self.entered.wait(min(within, threading.TIMEOUT_MAX)) or self.thread is None:
            return False
        self.thread.join(min(max(0.0, until - self.runtime.clock()), threading.TIMEOUT_MAX))
        return not self.thread.is_alive()

    def vitals(self) -> Vitals:
        """What `liveness.stuck` judges."""
        alive = self.thread is None or self.thread.is_alive()
        return Vitals(self.busy_since, self.progress_at, self.ending_since, thread_alive=alive)


@dataclass(frozen=True, slots=True)
class Exited:
    """Told to the supervisor when this incarnation of a child is over."""

    link: Link
