"""How the documents of the operations listener read: rows for a person, of what the listener says."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from m10actors.cli.output import age

Row = tuple[object, ...]

GLANCE: Final = ("what", "value", "age", "detail")
CHILDREN: Final = ("child", "phase", "age", "silent", "restarts", "mailbox", "doing", "parked_on", "last_exit")
_WITHOUT = {"redis": "work goes through PostgreSQL", "postgres": "ingest answers 503, batches in hand wait"}


def glance(status: Mapping[str, Any]) -> Iterator[Row]:
    """`/ops/status`, what matters most first: the process, its stores, its leader, what waits, what stands still."""
    condition = "draining" if status["draining"] else status["ready"]
    detail = "; ".join([f"m10 {status['version']} {status['worker']}", *status["reasons"]])
    yield "process", condition, span(status["uptime_seconds"]), detail
    for name, store in status["dependencies"].items():
        words = [store["reason"], _WITHOUT.get(name, "") if store["condition"] == "down" else ""]
        yield name, store["condition"], span(store["since_seconds"]), "; ".join(filter(None, words))
    if (leader := status["leader"]) is not None:
        yield "leader", f"epoch {leader['epoch']}" if leader["active"] else "nobody", None, f"here: {leader['here']}"
    yield from _depths(status)
    for pause in status["paused"]:
        until = f"until {pause['until']}" if pause["until"] else "until resumed"
        yield f"{pause['part']} paused", until, None, f"by {pause['by']} since {pause['since']}: {pause['reason']}"
    for child in status["not_running"]:
        why = f"needs {', '.join(child['parked_on'])}" if child["parked_on"] else child["last_exit"]
        yield child["id"], child["phase"], None, why


def _depths(status: Mapping[str, Any]) -> Iterator[Row]:
    stream = status["stream"]
    if (depths := status["depths"]) is not None:
        yield "evaluations due", depths["evaluations_due"], span(depths["evaluations_due_oldest_seconds"]), None
        stalled = f"{depths['work_stalled']} stalled" if depths["work_stalled"] else None
        yield "fallback queue", depths["work_depth"], span(depths["work_oldest_seconds"]), stalled
        late = f"{span(depths['outbox_lag_seconds'])} late" if depths["outbox_lag_seconds"] else None
        yield "outbox", depths["outbox_pending"], span(depths["outbox_oldest_seconds"]), late
        oldest = span(depths["candidates_pending_oldest_seconds"])
        yield "awaiting a verdict", depths["candidates_pending"], oldest, None
        yield "dead letters archived", depths["archive_size"], None, None
    else:
        yield "depths", "unknown", None, "PostgreSQL does not say them"
    if stream["length"] is not None:
        pending = f"{stream['pending']} in hand, {stream['consumers']} consumers"
        yield "stream", stream["length"], span(stream["oldest_seconds"]), pending
        yield "dead letters in Redis", stream["dead_letters"], None, None


def children(child: Mapping[str, Any], depth: int = 0) -> Iterator[Row]:
    """`/ops/tree`, each child below its supervisor."""
    yield (
        "  " * depth + child["id"],
        child["phase"],
        span(child["age"]),
        span(child["progress_age"]),
        child["restarts"],
        child["mailbox"],
        child["doing"],
        ", ".join(child["parked_on"]),
        child["last_exit"],
    )
    for inner in child["children"]:
        yield from children(inner, depth + 1)


def rates(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Mapping[str, float]:
    """Per second between two statuses of one process; since its start if the one before is not there or of another."""
    if before is None or before["worker"] != now["worker"]:
        before = {"uptime_seconds": 0.0, "totals": dict.fromkeys(now["totals"], 0)}
    seconds = max(now["uptime_seconds"] - before["uptime_seconds"], 1e-3)
    return {name: (total - before["totals"][name]) / seconds for name, total in now["totals"].items()}


def span(seconds: float | None) -> str | None:
    """An age in words; None for none."""
    return None if seconds is None else age(timedelta(seconds=seconds))
