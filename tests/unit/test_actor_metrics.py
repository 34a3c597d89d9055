"""Figures of the tree, and what a watchdog sees in it."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest

from m10actors.actor_metrics import ActorMetrics
from m10actors.recovery.pauses import Part, Pause, Pauses
from m10actors.supervision import ChildState, Phase
from m10actors.watchdog import silent


def child(name: str, *children: ChildState, phase: Phase = Phase.RUNNING, age: float | None = 1.0) -> ChildState:
    return ChildState(
        id=name,
        type="supervisor" if children else "worker",
        phase=phase,
        restarts=0,
        last_exit=None,
        age=age,
        progress_age=age,
        mailbox=0,
        doing="",
        children=children,
        leaked=1,
    )


TREE = child("root", child("intake", child("reader", phase=Phase.PARKED, age=None), age=70.0), child("idle", age=900.0))


def test_every_child_has_one_state_and_the_time_since_its_last_progress() -> None:
    pauses = Pauses()
    pauses.observe([Pause(Part.JOBS, "one", None, datetime.now(UTC), None)])
    registry = CollectorRegistry()
    registry.register(ActorMetrics(lambda: TREE, pauses))
    lines = set(generate_latest(registry).decode().splitlines())
    assert {
        'm10_actor_state{child="root",state="running"} 1.0',
        'm10_actor_state{child="root",state="parked"} 0.0',
        'm10_actor_state{child="reader",state="parked"} 1.0',
        'm10_actor_last_progress_seconds{child="idle"} 900.0',
        "m10_threads_abandoned 4.0",
        'm10_paused{part="jobs"} 1.0',
        'm10_paused{part="intake"} 0.0',
    } <= lines
    assert not any(line.startswith('m10_actor_last_progress_seconds{child="reader"') for line in lines)


def test_before_there_is_a_tree_nothing_is_said_of_children() -> None:
    registry = CollectorRegistry()
    registry.register(ActorMetrics(lambda: None, Pauses()))
    assert "child=" not in generate_latest(registry).decode()


def test_a_supervisor_that_stands_still_is_seen_and_a_worker_that_waits_is_not() -> None:
    assert silent(TREE, 60.0) == ("intake",)
    assert silent(TREE, 80.0) == ()
