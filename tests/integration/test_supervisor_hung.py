"""Actors that hang: taken out, fenced off, replaced, counted; the call that they hang in is broken where it can be."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest
from supervisor_kit import (
    FAST,
    Do,
    Journal,
    Raise,
    Strategy,
    child,
    no_thread_left,
    on_thread_of,
    root,
    running,
    states,
)

from m10actors.supervision import ExitReason, StartFailed, SupervisorSpec
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.waiting import eventually

N = 5


class BlackHole:
    """A peer that never answers: who reads from it waits until the socket is shut."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()

    def shut(self) -> None:
        self.near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.near.close()
        self.far.close()


def runs(tree: Tree, name: str, restarts: int) -> bool:
    return states(tree)[name].restarts == restarts and states(tree)[name].phase == "running"


def test_five_workers_stuck_in_a_black_hole_are_replaced_and_their_late_results_are_refused() -> None:
    journal, holes = Journal(), [BlackHole() for _ in range(N)]
    late: list[tuple[bool, bool]] = []
    ids = [f"w{n}" for n in range(N)]

    def read(hole: BlackHole) -> Do:
        def call(me: Any) -> None:
            with me.hold(hole.shut):
                assert hole.near.recv(1) == b""
            late.append((me.is_current, me.tell_child("sibling", "a late result")))
            me.tick_in(0, "late")

        return Do(call)

    pool = [child(journal, name, stall_after=0.05, shutdown=5.0) for name in ids]
    with running(root(*pool, child(journal, "sibling"), stop_together=True)) as tree:
        for name, hole in zip(ids, holes, strict=True):
            tree.tell(name, read(hole))
        eventually(lambda: all(runs(tree, name, 1) for name in ids))
        assert [on_thread_of(tree, name) for name in ids] == ids  # capacity stays at N
        assert late == [(False, False)] * N
        assert (tree.abandoned, tree.leaked) == (0, ())  # their calls returned, so their threads ended
        assert {states(tree)[name].taken_out for name in ids} == {1}
        assert "sibling got a late result" not in journal.lines
    for hole in holes:
        hole.close()


def test_a_stuck_actor_is_logged_with_what_it_was_at_and_where(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="m10actors.supervision")
    hole = BlackHole()

    def call(me: Any) -> None:
        me.doing("reading from a black hole")
        with me.hold(hole.shut):
            hole.near.recv(1)

    with running(root(child(Journal(), "a", stall_after=0.05))) as tree:
        tree.tell("a", Do(call))
        eventually(lambda: runs(tree, "a", 1))
    [line] = [r for r in caplog.records if r.message == "child_taken_out"]
    fields = line.fields  # type: ignore[attr-defined]
    assert fields["doing"] == "reading from a black hole"
    assert "hole.near.recv(1)" in fields["stack"]
    assert fields["why"].startswith("no progress for 0.")
    hole.close()


def test_what_is_held_is_shut_before_the_time_to_end_runs_out() -> None:
    hole, entered = BlackHole(), threading.Event()

    def call(me: Any) -> None:
        with me.hold(hole.shut):
            entered.set()
            hole.near.recv(1)

    with running(root(child(Journal(), "a", shutdown=0.05))) as tree:
        tree.tell("a", Do(call))
        assert entered.wait(10)
    assert tree.abandoned == 0
    hole.close()


def test_what_is_held_while_it_begins_is_shut_when_it_takes_too_long() -> None:
    hole = BlackHole()

    def begin(me: Any) -> None:
        with me.hold(hole.shut):
            hole.near.recv(1)

    with no_thread_left(), pytest.raises(StartFailed, match="a did not start: killed: did not begin within"):
        start_tree(root(child(Journal(), "a", {"begin": begin}, start_timeout=0.02, shutdown=30.0)))
    hole.close()


def test_who_was_taken_out_can_hold_nothing_again() -> None:
    first, second, woken = BlackHole(), BlackHole(), threading.Event()

    def call(me: Any) -> None:
        with me.hold(first.shut):
            first.near.recv(1)
        with me.hold(second.shut):
            second.near.recv(1)
        woken.set()

    with running(root(child(Journal(), "a", stall_after=0.05))) as tree:
        tree.tell("a", Do(call))
        assert woken.wait(10)
    assert tree.abandoned == 0
    first.close()
    second.close()


def test_what_is_no_longer_held_is_not_shut(caplog: pytest.LogCaptureFixture) -> None:
    shut: list[str] = []
    go = threading.Event()

    def call(me: Any) -> None:
        with me.hold(lambda: shut.append("before")):
            pass
        with me.hold(lambda: shut.append("now")), me.hold(fail):
            go.wait(30)

    def fail() -> None:
        go.set()
        raise SystemExit("a shut that fails harms nobody")

    with running(root(child(Journal(), "a", stall_after=0.05))) as tree:
        tree.tell("a", Do(call))
        eventually(lambda: runs(tree, "a", 1))
    assert shut == ["now"]
    assert "shut_failed" in [record.message for record in caplog.records]


def test_an_idle_actor_whose_tick_was_lost_is_replaced() -> None:
    """Alive but deaf: it waits for a message that never comes."""
    journal = Journal()
    ticks = threading.Event()

    def begin(me: Any) -> None:
        if journal.lines.count("begin a") > 1:
            ticks.set()
            me.tick_in(0.01, Do(begin))

    with running(root(child(journal, "a", {"begin": begin}, period=0.05), child(journal, "b"))) as tree:
        eventually(lambda: states(tree)["a"].restarts >= 1 and ticks.is_set())
        assert str(states(tree)["a"].last_exit).startswith("killed: no sign for 0.")
        assert states(tree)["b"].restarts == 0


def test_an_idle_actor_that_ticks_is_left_alone() -> None:
    ticks: list[int] = []

    def tick(me: Any) -> None:
        ticks.append(1)
        me.tick_in(0.005, Do(tick))

    with running(root(child(Journal(), "a", {"begin": tick}, period=0.5))) as tree:
        eventually(lambda: len(ticks) > 50)
        assert states(tree)["a"].restarts == 0


def test_a_thread_that_ends_after_it_was_abandoned_is_counted_no_more() -> None:
    journal, go = Journal(), threading.Event()
    with running(root(child(journal, "a", stall_after=0.05, shutdown=0.05))) as tree:
        tree.tell("a", Do(lambda _: go.wait(30)))
        eventually(lambda: runs(tree, "a", 1))
        [leaked] = tree.leaked
        assert (leaked.child_id, leaked.thread.name) == ("a", "a (abandoned)")
        assert states(tree)["a"].leaked == 1
        go.set()
        eventually(lambda: not tree.leaked)
        assert (tree.abandoned, states(tree)["a"].leaked) == (1, 0)


def test_a_tree_with_too_many_abandoned_threads_stops_what_it_can_and_gives_up() -> None:
    journal, go, reasons = Journal(), threading.Event(), list[ExitReason]()
    children = [child(journal, name, stall_after=0.05, shutdown=0.05) for name in "abc"]
    with running(root(*children, child(journal, "d")), on_give_up=reasons.append, max_abandoned=2) as tree:
        for name in "ab":
            tree.tell(name, Do(lambda _: go.wait(30)))
        eventually(lambda: all(runs(tree, name, 1) for name in "ab"))
        assert not tree.given_up.is_set()
        tree.tell("c", Do(lambda _: go.wait(30)))
        assert tree.given_up.wait(10)
        eventually(lambda: "end d" in journal.lines)
        assert str(reasons) == str([tree.exit_reason])
        assert str(tree.exit_reason) == "TooManyAbandoned: 3 abandoned threads still run, 2 are allowed"
        go.set()


def test_a_hung_supervisor_is_abandoned_and_replaced_and_those_below_it_have_their_time_to_end() -> None:
    """It hangs in a hook of one child, and would leave the others behind with nobody to stop them."""
    journal, go, replaced = Journal(), threading.Event(), threading.Event()
    pool = ["b0", "b1", "b2", "b3"]

    def interrupted() -> None:
        if journal.lines.count("begin c") == 1:
            go.wait(30)

    def begin(_: object) -> None:
        if journal.lines.count("begin c") == 2:
            replaced.set()

    slow = [child(journal, name, {"end": lambda _: replaced.wait(30)}, shutdown=0.5) for name in pool]
    hanging = child(journal, "c", {"begin": begin, "interrupted": interrupted}, shutdown=0.01)
    below = SupervisorSpec("below", (*slow, hanging), backoff=FAST, stop_together=True)
    spec = root(child(journal, "a"), below, strategy=Strategy.ONE_FOR_ALL)
    with running(spec, max_abandoned=3) as tree:
        tree.tell("a", Raise(ValueError("boom")))
        eventually(lambda: runs(tree, "below", 1) and runs(tree, "a", 1))
        assert [on_thread_of(tree, name) for name in ("a", *pool, "c")] == ["a", *pool, "c"]
        assert [leaked.child_id for leaked in tree.leaked] == ["below"]
        go.set()
        eventually(lambda: not tree.leaked)
        assert [journal.lines.count(f"end {name}") for name in pool] == [1] * len(pool)
        assert [on_thread_of(tree, name) for name in ("a", *pool, "c")] == ["a", *pool, "c"]
        assert not tree.given_up.is_set()


PAUSED = """
import sys, threading
from m10actors.supervision import Actor, ChildSpec, SupervisorSpec
from m10actors.supervisor import start_tree

class Ticking(Actor):
    def on_begin(self):
        self.tick_in(0, "tick")
    def on_message(self, message):
        self.tick_in(0.02, "tick")

children = tuple(ChildSpec(f"c{n}", Ticking.start, period=0.1) for n in range(5))
tree = start_tree(SupervisorSpec("root", children))
print("up", flush=True)
for line in sys.stdin:
    print([child.taken_out for child in tree.snapshot().children], flush=True)
tree.stop()
"""


def test_a_process_that_was_stopped_for_a_while_takes_nobody_out_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", PAUSED], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        for _ in range(3):
            os.kill(process.pid, signal.SIGSTOP)
            threading.Event().wait(0.4)  # longer than three periods
            os.kill(process.pid, signal.SIGCONT)
            process.stdin.write("look\n")
            process.stdin.flush()
            assert process.stdout.readline() == "[0, 0, 0, 0, 0]\n"
        process.stdin.close()
    assert process.returncode == 0
