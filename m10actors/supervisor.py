"""A tree of supervisors as those see it who start it, stop it and talk to it from outside."""

import threading
from collections.abc import Callable, Iterator

from m10actors import logs
from m10actors.supervision.check import check
from m10actors.supervision.child import Child
from m10actors.supervision.errors import TooManyAbandoned
from m10actors.supervision.exits import ExitReason, Normal, is_abnormal
from m10actors.supervision.leaks import Leaked, Leaks
from m10actors.supervision.link import Link
from m10actors.supervision.runtime import Runtime
from m10actors.supervision.snapshot import ChildState
from m10actors.supervision.spec import SupervisorSpec
from m10actors.supervision.supervisor import as_child
from m10actors.supervision.weather import Weather

log = logs.logger(__name__)


def start_tree(
    root: SupervisorSpec,
    on_give_up: Callable[[ExitReason], None] | None = None,
    *,
    down: frozenset[str] = frozenset(),
    max_abandoned: int | None = None,
    on_restart: Callable[[str, str], None] = lambda _child_id, _cause: None,
) -> "Tree":
    """Checks the whole tree and starts it, child by child, in order.

    Raises InvalidSpec with every problem before anything is started, and StartFailed when a child does not begin,
    after those that had begun were stopped, in reverse. Children that need one of the names in `down` begin parked.

    `on_give_up` is called once, in the root's thread, when the root ends without having been asked to, which it also
    does when more than `max_abandoned` abandoned threads run. `on_restart` is called in a supervisor's thread with the
    id of each child that is restarted and the cause: crash, hung, not_started, normal, shutdown, or sibling. Both must
    return at once and raise nothing.
    """
    check(root)
    tree = Tree(root, on_give_up, down=down, max_abandoned=max_abandoned, on_restart=on_restart)
    try:
        tree.start()
    except BaseException:  # a signal handler that raises must leave no thread behind either
        tree.stop()
        raise
    return tree


class Tree:
    """A running tree, for the main thread and for those who serve requests."""

    def __init__(
        self,
        root: SupervisorSpec,
        on_give_up: Callable[[ExitReason], None] | None = None,
        *,
        down: frozenset[str] = frozenset(),
        max_abandoned: int | None = None,
        on_restart: Callable[[str, str], None] = lambda _child_id, _cause: None,
    ) -> None:
        self.given_up = threading.Event()
        self.exit_reason: ExitReason | None = None
        self._on_give_up = on_give_up
        self._spec = root
        self._runtime = Runtime(
            Weather(down),
            Leaks(max_abandoned, self._too_many_abandoned),
            restarted=on_restart,
            supervisors=tuple(_supervisors(root)),
        )
        self._root = Child(as_child(root), self._runtime)
        self._wanted_down = False

    @property
    def abandoned(self) -> int:
        """How many threads did not end when they had to, ever: what those had in hand is left to their successors."""
        return self._runtime.leaks.abandoned_ever

    @property
    def leaked(self) -> tuple[Leaked, ...]:
        """The abandoned threads that still run. None can be killed: many are a reason to end the process."""
        return self._runtime.leaks.now

    @property
    def down(self) -> frozenset[str]:
        """The names that were reported down."""
        return self._runtime.weather.down

    def start(self) -> None:
        """See `start_tree`."""
        self._root.start(self._root_exited, unless=threading.Event())

    def weather(self, name: str, *, up: bool, why: str = "") -> None:
        """Says that what children need is down, or up again; from any thread, returns at once.

        While it is down they are stopped and parked, which spends no restart; then they begin again by themselves.
        """
        self._runtime.report(name, up=up, why=why)

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
        """Stops all children in reverse order; those that have not ended `deadline` seconds from now are abandoned, a
        supervisor that hangs a second later.
        """
        self._wanted_down = True
        self._runtime.stop_by = self._runtime.clock() + deadline
        self._root.stop()
        self._runtime.timer.close()
        log.info("tree_stopped", abandoned=self.abandoned, leaked=[leak.child_id for leak in self.leaked])

    def _too_many_abandoned(self, count: int) -> None:
        limit = self._runtime.leaks.limit or 0
        self._runtime.directory.tell(self._spec.id, TooManyAbandoned(count, limit))

    def _root_exited(self, link: Link) -> None:
        reason = self.exit_reason = link.exit_reason or Normal()
        if self._wanted_down or not link.begun:
            return
        if is_abnormal(reason):
            log.error("tree_gave_up", reason=str(reason))
        self.given_up.set()
        if self._on_give_up is not None:
            self._on_give_up(reason)


def _supervisors(spec: SupervisorSpec) -> Iterator[str]:
    yield spec.id
    for child in spec.children:
        if isinstance(child, SupervisorSpec):
            yield from _supervisors(child)
