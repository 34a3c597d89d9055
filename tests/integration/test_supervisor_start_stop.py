"""Starting in order and in full or not at all; stopping in reverse and in time."""

import queue
import threading
from typing import Any

import pytest
from supervisor_kit import Do, Journal, Probe, Raise, child, no_thread_left, on_thread_of, root, running, states

from m10actors.supervision import (
    ChildSpec,
    Crashed,
    InvalidSpec,
    Killed,
    Link,
    StartFailed,
    SupervisorSpec,
    dump_stacks,
)
from m10actors.supervisor import start_tree
from m10actors.testing.waiting import eventually


def failing(_: object) -> None:
    raise ConnectionError("refused")


class _Broken(queue.SimpleQueue[Any]):
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        raise RuntimeError("no inbox")


def test_children_start_in_order_each_after_the_one_before_has_begun_and_stop_in_reverse() -> None:
    journal = Journal()
    below = SupervisorSpec("below", (child(journal, "b"), child(journal, "c")))
    with running(root(child(journal, "a"), below, child(journal, "d"))):
        assert journal.lines == ["begin a", "begin b", "begin c", "begin d"]
        journal.clear()
    assert journal.lines == ["end d", "end c", "end b", "end a"]


def test_nothing_starts_from_a_bad_spec() -> None:
    journal = Journal()
    with no_thread_left(), pytest.raises(InvalidSpec):
        start_tree(root(child(journal, "a"), child(journal, "a")))
    assert journal.lines == []


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_failed_start_stops_those_begun_in_reverse(depth: int) -> None:
    journal = Journal()
    last: Any = child(journal, "bad", {"begin": failing})
    for level in range(depth):
        last = SupervisorSpec(f"level{level}", (child(journal, f"in{level}"), last))
    with no_thread_left(), pytest.raises(StartFailed) as raised:
        start_tree(root(child(journal, "a"), child(journal, "b"), last))
    assert raised.value.child_id == "bad"
    assert raised.value.reason == Crashed("ConnectionError", "refused")
    inside = [f"in{level}" for level in reversed(range(depth))]
    assert journal.lines == [
        *(f"begin {name}" for name in ["a", "b", *inside, "bad"]),
        *(f"end {name}" for name in ["bad", *reversed(inside), "b", "a"]),
    ]


def test_a_child_whose_init_raises_has_not_started() -> None:
    def start(_: object) -> Any:
        raise SystemExit("no init")

    with no_thread_left(), pytest.raises(StartFailed) as raised:
        start_tree(root(ChildSpec("a", start=start)))
    assert raised.value.reason == Crashed("SystemExit", "no init")


def test_a_child_that_was_started_although_its_start_raised_is_stopped() -> None:
    journal = Journal()
    spec = child(journal, "a")

    def start(link: Any) -> Any:
        spec.start(link)
        raise ValueError("after the start")

    with no_thread_left(), pytest.raises(StartFailed):
        start_tree(root(ChildSpec("a", start=start)))
    eventually(lambda: journal.lines[-1:] == ["end a"])


def test_a_child_whose_init_fails_half_way_is_not_interrupted(caplog: pytest.LogCaptureFixture) -> None:
    class Half(Probe):
        def __init__(self, link: Link) -> None:
            super().__init__(link, Journal(), interrupted=lambda: pytest.fail("what it would break is not there yet"))
            raise ValueError("half made")

    with no_thread_left(), pytest.raises(StartFailed):
        start_tree(root(ChildSpec("a", start=Half.start)))
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == ["child_not_made", "supervisor_gave_up"]


def test_a_child_that_does_not_begin_in_time_has_not_started_and_is_asked_to_end() -> None:
    journal = Journal()
    slow = child(journal, "slow", {"begin": lambda me: me.stopping.wait(10)}, start_timeout=0.02)
    with no_thread_left(), pytest.raises(StartFailed) as raised:
        start_tree(root(child(journal, "a"), slow))
    assert raised.value.reason == Killed("did not begin within 0.02 s")
    assert journal.lines == ["begin a", "begin slow", "end slow", "end a"]


def test_a_child_that_never_begins_is_abandoned_and_does_nothing_when_it_comes_back() -> None:
    journal, go = Journal(), threading.Event()
    told: list[bool] = []

    def begin(me: Any) -> None:
        go.wait(10)
        told.append(me.tell_child("a", "hello"))

    stuck = child(journal, "stuck", {"begin": begin}, start_timeout=0.02, shutdown=0.02)
    with no_thread_left():
        with pytest.raises(StartFailed):
            start_tree(root(child(journal, "a"), stuck))
        assert journal.lines == ["begin a", "begin stuck", "end a"]
        go.set()
        eventually(lambda: "stuck (abandoned)" not in [thread.name for thread in threading.enumerate()])
    assert told == [False]


def test_an_exception_in_the_main_thread_while_it_starts_stops_all_that_began(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal()
    monkeypatch.setattr("m10actors.supervisor.Tree.start", _then_interrupted)
    with no_thread_left(), pytest.raises(KeyboardInterrupt):
        start_tree(root(child(journal, "a")))
    assert journal.lines == ["begin a", "end a"]


def _then_interrupted(tree: Any) -> None:
    tree._root.start(tree._root_exited, unless=threading.Event())
    raise KeyboardInterrupt


def test_a_stop_while_a_child_is_starting_does_not_wait_for_the_others() -> None:
    journal, starting = Journal(), threading.Event()
    failures = iter([False, True])

    def begin(me: Any) -> None:
        if next(failures):
            starting.set()
            me.stopping.wait(10)

    below = SupervisorSpec("below", (child(journal, "b", {"begin": begin}), child(journal, "c")), intensity=0)
    with running(root(child(journal, "a"), below)) as tree:
        journal.clear()
        tree.tell("c", Raise(ValueError("boom")))
        assert starting.wait(10)
    assert journal.lines == ["end c", "end b", "begin b", "end b", "end a"]


def test_a_stop_waits_for_a_child_whose_thread_has_not_come_to_say_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, starting, joined = Journal(), threading.Event(), threading.Event()
    join = Link.join

    class Late(Probe):
        def on_start(self) -> None:
            if "begin a" in journal.lines:
                starting.set()
                joined.wait(10)
            super().on_start()

    with running(root(ChildSpec("a", start=lambda link: Late.start(link, journal)))) as tree:
        tree.tell("a", Raise(ValueError("boom")))
        assert starting.wait(10)
        monkeypatch.setattr(Link, "join", lambda link, within: (joined.set(), join(link, within))[1])
    assert tree.abandoned == 0


def test_the_deadline_of_a_stop_holds_for_a_supervisor_that_hangs_as_well() -> None:
    journal, go, stopped = Journal(), threading.Event(), threading.Event()
    hanging = child(journal, "b", {"interrupted": lambda: go.wait(60)}, shutdown=30.0)
    with no_thread_left():
        tree = start_tree(root(child(journal, "a"), hanging))
        threading.Thread(target=lambda: (tree.stop(0.01), stopped.set())).start()
        assert stopped.wait(10)
        assert "root" in [leaked.child_id for leaked in tree.leaked]
        go.set()


def test_what_was_told_before_the_stop_is_handled() -> None:
    journal = Journal()
    with running(root(child(journal, "a"))) as tree:
        for n in range(3):
            tree.tell("a", n)
    assert journal.lines == ["begin a", "a got 0", "a got 1", "a got 2", "end a"]


def test_interrupt_breaks_what_blocks() -> None:
    journal, go = Journal(), threading.Event()
    with running(root(child(journal, "a", {"interrupted": go.set}))) as tree:
        tree.tell("a", Do(lambda _: go.wait(60)))
    assert tree.abandoned == 0


def test_an_interrupt_that_raises_does_not_keep_the_others_from_being_stopped() -> None:
    journal = Journal()

    def interrupted() -> None:
        raise SystemExit("interrupt")

    with running(root(child(journal, "a"), child(journal, "b", {"interrupted": interrupted}))):
        journal.clear()
    assert journal.lines == ["end b", "end a"]


@pytest.mark.parametrize("deadline", [float("inf"), 0.02], ids=["its_own_time", "the_tree's_deadline"])
def test_a_child_that_does_not_end_in_time_is_abandoned_and_holds_up_nobody(deadline: float) -> None:
    journal, go, busy = Journal(), threading.Event(), threading.Event()
    shutdown = 0.02 if deadline > 1 else 30.0
    with no_thread_left():
        tree = start_tree(root(child(journal, "a"), child(journal, "b", shutdown=shutdown)))
        tree.tell("b", Do(lambda _: (busy.set(), go.wait(10))))
        assert busy.wait(10)
        assert "go.wait(10)" in dump_stacks()
        tree.stop(deadline)
        assert tree.abandoned >= 1
        assert "b (abandoned)" in dump_stacks()
        go.set()
        eventually(lambda: "end b" in journal.lines)


def test_stopping_twice_and_after_the_root_gave_up_is_harmless() -> None:
    journal = Journal()
    with running(root(child(journal, "a"), intensity=0)) as tree:
        tree.tell("a", Raise(ValueError("boom")))
        assert tree.given_up.wait(10)
        tree.stop()
        assert not tree.tell("a", "hello")


def test_a_stalled_child_is_replaced_and_what_it_does_later_is_not_heard() -> None:
    journal, go = Journal(), threading.Event()
    late: list[bool] = []

    def stall(me: Any) -> None:
        go.wait(30)
        late.append(me.tell_child("b", "late"))
        raise ValueError("late")

    stalling = child(journal, "a", stall_after=0.05, shutdown=0.05)
    with running(root(stalling, child(journal, "b"))) as tree:
        journal.clear()
        tree.tell("a", Do(stall))
        tree.tell("a", "waited behind it")
        eventually(lambda: states(tree)["a"].restarts == 1 and states(tree)["a"].phase == "running")
        assert str(states(tree)["a"].last_exit).startswith("killed: no progress for")
        assert on_thread_of(tree, "a") == "a"
        assert tree.abandoned == 1
        go.set()
        journal.wait_for("begin a", "end a")
        assert late == [False]
        assert on_thread_of(tree, "a") == "a"
        assert states(tree)["a"].restarts == 1


def test_a_child_that_says_what_it_is_doing_is_not_stalled() -> None:
    journal, looks = Journal(), []

    def work(me: Any) -> None:
        for n in range(20):
            me.doing(f"part {n}")
            me.stopping.wait(0.01)
            looks.append(n)

    with running(root(child(journal, "a", stall_after=0.15))) as tree:
        tree.ask("a", Do(work), timeout=10)
        assert len(looks) == 20
        assert states(tree)["a"].restarts == 0


def test_a_child_that_hangs_in_its_end_after_a_crash_is_replaced() -> None:
    journal, go = Journal(), threading.Event()
    hang = iter([True])

    def end(_: object) -> None:
        if next(hang, False):
            go.wait(30)

    stalling = child(journal, "a", {"end": end}, stall_after=0.05, shutdown=0.05)
    with running(root(stalling)) as tree:
        tree.tell("a", Raise(ValueError("boom")))
        eventually(lambda: states(tree)["a"].restarts == 1 and states(tree)["a"].phase == "running")
        assert str(states(tree)["a"].last_exit).startswith("killed: ending for")
        go.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_child_whose_thread_dies_without_a_word_is_replaced() -> None:
    journal = Journal()
    with running(root(child(journal, "a", stall_after=0.05))) as tree:
        tree.tell("a", Do(lambda me: setattr(me, "actor_inbox", _Broken())))  # pykka's loop fails, past every hook
        eventually(lambda: states(tree)["a"].restarts == 1 and states(tree)["a"].phase == "running")
        assert states(tree)["a"].last_exit == "killed: its thread died without a word"
        assert on_thread_of(tree, "a") == "a"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_child_whose_thread_died_without_a_word_is_reached_by_nobody_once_it_is_parked() -> None:
    journal, threads = Journal(), list[threading.Thread]()
    with running(root(child(journal, "a", needs=frozenset({"postgres"})))) as tree:
        tree.tell(
            "a", Do(lambda me: (threads.append(threading.current_thread()), setattr(me, "actor_inbox", _Broken())))
        )
        eventually(lambda: threads and not threads[0].is_alive())
        tree.weather("postgres", up=False)
        eventually(lambda: states(tree)["a"].phase == "parked")
        assert not tree.tell("a", "hello")
