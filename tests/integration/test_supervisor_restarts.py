"""Strategies, escalation and giving up, with real threads."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from supervisor_kit import FAST, Do, Journal, Raise, child, on_thread_of, root, running, states

from m10actors.supervision import ChildSpec, ExitReason, Restart, Strategy, SupervisorSpec
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

BOOM = Raise(ValueError("boom"))


def test_one_for_all_stops_all_in_reverse_and_starts_all_in_order() -> None:
    journal = Journal()
    with running(root(*(child(journal, name) for name in "abc"), strategy=Strategy.ONE_FOR_ALL)) as tree:
        journal.clear()
        tree.tell("b", BOOM)
        journal.wait_for("end b", "end c", "end a", "begin a", "begin b", "begin c")


def test_rest_for_one_restarts_those_started_after_it() -> None:
    journal = Journal()
    with running(root(*(child(journal, name) for name in "abc"), strategy=Strategy.REST_FOR_ONE)) as tree:
        journal.clear()
        tree.tell("b", BOOM)
        journal.wait_for("end b", "end c", "begin b", "begin c")
        eventually(lambda: all(state.phase == "running" for state in states(tree).values()))
        assert states(tree)["a"].restarts == 0


def test_a_group_restart_that_fails_on_the_way_begins_anew() -> None:
    journal = Journal()
    failures = iter([False, True, False])

    def begin(_: object) -> None:
        if next(failures):
            raise ValueError("not yet")

    children = [child(journal, "a"), child(journal, "b", {"begin": begin}), child(journal, "c")]
    with running(root(*children, strategy=Strategy.ONE_FOR_ALL)) as tree:
        journal.clear()
        tree.tell("c", BOOM)
        journal.wait_for(
            *("end c", "end b", "end a", "begin a", "begin b", "end b"),
            *("end a", "begin a", "begin b", "begin c"),
        )


def test_a_child_that_waits_for_its_restart_holds_up_no_sibling() -> None:
    journal = Journal()
    slow = type(FAST)(base=20.0, cap=20.0)
    with running(root(child(journal, "a"), child(journal, "b"), backoff=slow, intensity=2)) as tree:
        tree.tell("a", BOOM)
        eventually(lambda: states(tree)["a"].restarts == 1 and states(tree)["a"].phase == "running")
        tree.tell("a", BOOM)
        eventually(lambda: states(tree)["a"].phase == "waiting")
        assert not tree.tell("a", "hello")
        assert on_thread_of(tree, "b") == "b"


def nested(journal: Journal, intensity: int = 0, **above: object) -> SupervisorSpec:
    below = SupervisorSpec("below", (child(journal, "a"), child(journal, "b")), intensity=intensity, backoff=FAST)
    return root(child(journal, "first"), below, child(journal, "last"), **above)


def test_a_supervisor_that_gives_up_stops_its_children_and_is_restarted_by_its_own() -> None:
    journal = Journal()
    with running(nested(journal)) as tree:
        journal.clear()
        tree.tell("a", BOOM)
        journal.wait_for("end a", "end b", "begin a", "begin b")
        eventually(lambda: states(tree)["below"].phase == "running")
        assert states(tree)["below"].restarts == 1
        assert str(states(tree)["below"].last_exit).startswith("GaveUp: below gave up: more than 0 restarts in 60 s")
        assert not tree.given_up.is_set()


def test_escalation_reaches_the_group_of_the_supervisor() -> None:
    journal = Journal()
    with running(nested(journal, strategy=Strategy.REST_FOR_ONE)) as tree:
        journal.clear()
        tree.tell("a", BOOM)
        journal.wait_for("end a", "end b", "end last", "begin a", "begin b", "begin last")


def test_when_the_root_gives_up_all_is_stopped_and_the_tree_says_so_once() -> None:
    journal, reasons = Journal(), list[ExitReason]()
    with running(replace(nested(journal), intensity=5), on_give_up=reasons.append) as tree:
        journal.clear()
        while not tree.given_up.is_set():
            tree.tell("a", BOOM)
            tree.given_up.wait(0.001)
        eventually(lambda: reasons)
    assert reasons == [tree.exit_reason]
    assert str(tree.exit_reason).startswith("GaveUp: root gave up: more than 5 restarts")
    assert journal.lines[-2:] == ["end last", "end first"]
    assert [thread.name for thread in threading.enumerate() if thread.name in ("first", "a", "b", "last", "root")] == []


def test_a_crashed_supervisor_takes_its_children_with_it_and_is_restarted() -> None:
    journal = Journal()

    def on_restart(child_id: str, _cause: str) -> None:
        if child_id == "a":
            raise SystemExit("a bug in what runs in the supervisor's thread")

    with running(nested(journal, intensity=1), on_restart=on_restart) as tree:
        journal.clear()
        tree.tell("a", BOOM)
        journal.wait_for("end a", "end b", "begin a", "begin b")
        eventually(lambda: states(tree)["below"].restarts == 1)
        assert states(tree)["first"].restarts == 0


def test_a_supervisor_that_is_told_nonsense_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Unreadable:
        def __repr__(self) -> str:
            raise SystemExit("no text")

    with running(nested(Journal())) as tree:
        tree.tell("below", Unreadable())
        tree.ask("below", "and answers", timeout=10)
        assert states(tree)["below"].restarts == 0
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["unexpected_message"] * 2


def test_a_snapshot_while_a_supervisor_is_made_harms_nobody() -> None:
    trees: list[Tree] = []

    class Children(tuple[ChildSpec, ...]):
        """Has a snapshot taken whenever somebody looks through it, which a supervisor does while it is made."""

        def __iter__(self) -> Iterator[ChildSpec]:
            for tree in trees:
                tree.snapshot()
            return super().__iter__()

    journal = Journal()
    below = SupervisorSpec("below", Children([child(journal, "a")]), intensity=0, backoff=FAST)
    with running(root(below)) as tree:
        trees.append(tree)
        tree.tell("a", BOOM)
        eventually(lambda: states(tree)["below"].phase == "running" and states(tree)["below"].restarts)
        assert states(tree)["below"].restarts == 1
        trees.clear()


def test_a_temporary_child_of_the_group_stays_ended() -> None:
    journal = Journal()
    children = child(journal, "a"), child(journal, "b", restart=Restart.TEMPORARY)
    with running(root(*children, strategy=Strategy.ONE_FOR_ALL)) as tree:
        journal.clear()
        tree.tell("a", BOOM)
        journal.wait_for("end a", "end b", "begin a")
        assert states(tree)["b"].phase == "finished"


def test_the_snapshot_does_not_wait_for_a_busy_child() -> None:
    journal, go = Journal(), threading.Event()

    def work(me) -> None:
        me.doing("the long thing")
        go.wait(10)

    with running(nested(journal)) as tree:
        tree.tell("a", Do(work))
        tree.tell("a", "next")
        eventually(lambda: states(tree)["a"].doing == "the long thing")
        snapshot = tree.snapshot()
        assert [state.id for state in snapshot.children] == ["first", "below", "last"]
        assert (snapshot.type, snapshot.children[0].type) == ("supervisor", "worker")
        assert states(tree)["a"].mailbox == 1
        go.set()
