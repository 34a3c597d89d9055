"""What a person who is woken at night reads of a status and a tree."""

from typing import Any

from m10actors.cli import views

DEPTHS = {
    "candidates_pending": 4, "candidates_pending_oldest_seconds": 90.0, "evaluations_due": 3,
    "evaluations_due_oldest_seconds": 61.0, "work_depth": 2, "work_oldest_seconds": 5.0, "work_stalled": 1,
    "outbox_pending": 7, "outbox_oldest_seconds": 7200.0, "outbox_lag_seconds": 60.0, "replay_log_size": 0,
    "archive_size": 9,
}  # fmt: skip
STREAM = {"length": 5, "pending": 2, "consumers": 1, "oldest_seconds": 3.0, "dead_letters": 8}
STATUS: dict[str, Any] = {
    "version": "1.2.3",
    "worker": "host:1:abc",
    "uptime_seconds": 3700.0,
    "draining": False,
    "ready": "degraded",
    "reasons": ["Redis is down"],
    "dependencies": {
        "postgres": {"condition": "up", "since_seconds": 3700.0, "reason": ""},
        "redis": {"condition": "down", "since_seconds": 65.0, "reason": "connection refused"},
    },
    "leader": {"active": True, "epoch": 12, "here": "standing by"},
    "depths": DEPTHS,
    "stream": STREAM,
    "paused": [{"part": "jobs", "by": "one", "reason": "why", "since": "2030-01-01T00:00:00Z", "until": None}],
    "not_running": [
        {"id": "stream_reader", "phase": "parked", "parked_on": ["redis"], "last_exit": "shutdown"},
        {"id": "reclaimer", "phase": "waiting", "parked_on": [], "last_exit": "ValueError: no"},
    ],
    "totals": {"delivered": 100, "restarts": 1},
}


def rows(**changed: Any) -> dict[object, views.Row]:
    return {row[0]: row[1:] for row in views.glance(STATUS | changed)}


def test_one_look_tells_how_it_is_what_waits_and_what_stands_still() -> None:
    seen = rows()
    assert seen["process"] == ("degraded", "1h 1m", "m10 1.2.3 host:1:abc; Redis is down")
    assert seen["redis"] == ("down", "1m", "connection refused; work goes through PostgreSQL")
    assert seen["leader"] == ("epoch 12", None, "here: standing by")
    assert seen["fallback queue"] == (2, "5s", "1 stalled")
    assert seen["outbox"] == (7, "2h", "1m late")
    assert seen["dead letters in Redis"] == (8, None, None)
    assert seen["jobs paused"] == ("until resumed", None, "by one since 2030-01-01T00:00:00Z: why")
    assert seen["stream_reader"] == ("parked", None, "needs redis")
    assert seen["reclaimer"] == ("waiting", None, "ValueError: no")


def test_what_cannot_be_known_is_left_out_and_a_drain_comes_first() -> None:
    nothing = dict.fromkeys(STREAM)
    seen = rows(draining=True, depths=None, leader=None, stream=nothing, paused=[], not_running=[])
    assert list(seen) == ["process", "postgres", "redis", "depths"]
    assert seen["process"][0] == "draining"
    assert rows(leader={"active": False, "epoch": 3, "here": ""})["leader"][0] == "nobody"


def test_rates_are_of_the_time_between_two_looks_at_one_process() -> None:
    later = STATUS | {"uptime_seconds": 3702.0, "totals": {"delivered": 150, "restarts": 1}}
    assert views.rates(STATUS, later) == {"delivered": 25.0, "restarts": 0.0}
    other = later | {"worker": "host:2:def", "uptime_seconds": 10.0}
    assert views.rates(STATUS, other) == views.rates(None, other) == {"delivered": 15.0, "restarts": 0.1}
