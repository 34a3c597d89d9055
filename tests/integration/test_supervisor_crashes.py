"""An actor that raises, whatever and wherever, is restarted, and no sibling notices."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from supervisor_kit import Do, Journal, Raise, child, on_thread_of, root, running, states

from m10actors.supervision import AskFailed, Crashed, NoReply, NotRunning, Restart
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

ERRORS = [
    ValueError("boom"),
    SystemExit(1),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    GeneratorExit(),
    MemoryError(),
]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def tree(journal: Journal) -> Iterator[Tree]:
    with running(root(child(journal, "a"), child(journal, "b"))) as tree:
        journal.clear()
        yield tree


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_message_that_raises_restarts_this_actor_alone(tree: Tree, journal: Journal, error: BaseException) -> None:
    tree.tell("a", Raise(error))
    journal.wait_for("end a", "begin a")
    assert on_thread_of(tree, "a") == "a"
    assert on_thread_of(tree, "b") == "b"
    assert states(tree)["b"].restarts == 0
    assert states(tree)["a"].last_exit == str(Crashed.of(error))


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_question_that_raises_is_answered_and_restarts_this_actor_alone(
    tree: Tree, journal: Journal, error: BaseException
) -> None:
    with pytest.raises(AskFailed) as raised:
        tree.ask("a", Raise(error), timeout=10)
    assert raised.value.reason == Crashed.of(error)
    journal.wait_for("end a", "begin a")
    assert on_thread_of(tree, "b") == "b"


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_end_that_raises_restarts_this_actor_alone(journal: Journal, error: BaseException) -> None:
    def end(_: object) -> None:
        raise error

    with running(root(child(journal, "a", {"end": end}), child(journal, "b"))) as tree:
        tree.tell("a", Do(lambda me: me.stop()))
        eventually(lambda: states(tree)["a"].restarts == 1)
        assert states(tree)["a"].last_exit == str(Crashed.of(error))
        assert on_thread_of(tree, "b") == "b"


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_restart_whose_begin_raises_is_tried_again(journal: Journal, error: BaseException) -> None:
    failures = iter([False, True, True, False])

    def begin(_: object) -> None:
        if next(failures):
            raise error

    with running(root(child(journal, "a", {"begin": begin}), child(journal, "b"))) as tree:
        journal.clear()
        tree.tell("a", Raise(ValueError("boom")))
        journal.wait_for("end a", "begin a", "end a", "begin a", "end a", "begin a")
        eventually(lambda: states(tree)["a"].phase == "running")
        assert states(tree)["a"].restarts == 3
        assert on_thread_of(tree, "b") == "b"


def test_a_restart_whose_init_raises_is_tried_again(journal: Journal) -> None:
    made = iter([False, True, False])
    spec = child(journal, "a")

    def start(link):
        if next(made):
            raise SystemExit("no init")
        return spec.start(link)

    with running(root(type(spec)("a", start=start), child(journal, "b"))) as tree:
        tree.tell("a", Raise(ValueError("boom")))
        eventually(lambda: states(tree)["a"].restarts == 2)
        assert states(tree)["a"].last_exit == "SystemExit: no init"
        assert on_thread_of(tree, "a") == "a"


def test_a_failing_end_after_a_crash_keeps_the_reason_of_the_crash(journal: Journal) -> None:
    def end(_: object) -> None:
        raise SystemExit("end")

    with running(root(child(journal, "a", {"end": end}))) as tree:
        tree.tell("a", Raise(ValueError("first")))
        eventually(lambda: states(tree)["a"].restarts == 1)
        assert states(tree)["a"].last_exit == "ValueError: first"


def test_what_waited_behind_a_crash_is_dropped_and_what_was_asked_is_refused(tree: Tree, journal: Journal) -> None:
    go, refused = threading.Event(), threading.Event()

    def ask() -> None:
        try:
            tree.ask("a", "asked", timeout=10)
        except NotRunning:
            refused.set()

    tree.tell("a", Do(lambda _: go.wait(10)))
    tree.tell("a", Raise(ValueError("boom")))
    for n in range(100):
        tree.tell("a", n)
    caller = threading.Thread(target=ask)
    caller.start()
    eventually(lambda: states(tree)["a"].mailbox == 102)
    go.set()
    caller.join(10)
    assert refused.is_set()
    journal.wait_for("end a", "begin a")


def test_a_busy_child_does_not_answer_in_time(tree: Tree) -> None:
    go = threading.Event()
    tree.tell("a", Do(lambda _: go.wait(10)))
    with pytest.raises(NoReply):
        tree.ask("a", "hello", timeout=0.01)
    go.set()


def test_nobody_runs_under_an_unknown_id(tree: Tree) -> None:
    assert not tree.tell("c", "hello")
    with pytest.raises(NotRunning):
        tree.ask("c", "hello", timeout=10)


@pytest.mark.parametrize(
    ("restart", "message", "restarted"),
    [
        (Restart.PERMANENT, Do(lambda me: me.stop()), True),
        (Restart.TRANSIENT, Do(lambda me: me.stop()), False),
        (Restart.TRANSIENT, Raise(ValueError("boom")), True),
        (Restart.TEMPORARY, Raise(ValueError("boom")), False),
    ],
    ids=["permanent_normal", "transient_normal", "transient_crash", "temporary_crash"],
)
def test_the_restart_type_decides(journal: Journal, restart: Restart, message: object, restarted: bool) -> None:
    with running(root(child(journal, "a", restart=restart))) as tree:
        tree.tell("a", message)
        eventually(lambda: states(tree)["a"].restarts == int(restarted))
        eventually(lambda: states(tree)["a"].phase == ("running" if restarted else "finished"))
        assert tree.tell("a", "hello") == restarted
        assert not tree.given_up.is_set()


def test_actors_tell_one_another_by_id_and_reach_the_successor(tree: Tree, journal: Journal) -> None:
    tree.tell("b", Raise(ValueError("boom")))
    journal.wait_for("end b", "begin b")
    assert tree.ask("a", Do(lambda me: me.tell_child("b", "hello")), timeout=10)
    journal.wait_for("end b", "begin b", "b got hello")


def test_a_tick_never_reaches_the_successor(tree: Tree, journal: Journal) -> None:
    tree.tell("a", Do(lambda me: me.tick_in(0.02, "old tick")))
    tree.tell("a", Raise(ValueError("boom")))
    journal.wait_for("end a", "begin a")
    tree.tell("a", Do(lambda me: me.tick_in(0.03, "new tick")))
    journal.wait_for("end a", "begin a", "a got new tick")
