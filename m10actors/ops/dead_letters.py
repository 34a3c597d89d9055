"""Brings the dead-letter stream and its archive together: what other programs put there is archived, then the stream
is shortened.
"""

import threading
from collections.abc import Mapping
from uuid import NAMESPACE_URL, uuid5

from m10actors import metrics
from m10actors.ops.job import Job
from m10actors.postgres.pool import Database, jsonb
from m10actors.streams import DeadLetterEntry, DeadLetterStream, StreamMonitor
from m10actors.streams.codec import as_json
from m10actors.streams.dead_letters import BEGINNING

LOCK = "dl_reconcile"
PAGE = 500
_NAMES = uuid5(NAMESPACE_URL, "m10actors:dead-letter-stream")


def dead_letter_reconcile(database: Database, stream: DeadLetterStream, monitor: StreamMonitor, max_len: int) -> Job:
    """Nothing leaves the stream before it is archived; past `max_len` the oldest archived entries leave."""

    def run(stopping: threading.Event) -> Mapping[str, int]:
        incarnation = monitor.incarnation()
        surplus = monitor.stats().dead_letter_length - max_len
        seen, after = 0, BEGINNING
        while not stopping.is_set() and (page := stream.page(PAGE, after)):
            for entry in page:
                _archive(database, entry, incarnation)
            if surplus > 0:
                stream.remove([entry.entry_id for entry in page[:surplus]])
                surplus -= len(page)
            seen += len(page)
            after = page[-1].entry_id
        return {"seen": seen}

    return Job(LOCK, run)


def _archive(database: Database, entry: DeadLetterEntry, incarnation: str) -> None:
    """Once per dead letter: ours carry their id, one of another program gets one from where it stands."""
    ours = entry.fields.get(b"dl_msg_id")
    dl_msg_id = (
        ours.decode("ascii", "replace") if ours else str(uuid5(_NAMES, f"{incarnation}:{entry.entry_id.decode()}"))
    )
    fields = as_json(entry.fields)
    database.rows(
        "archive_dead_letter",
        {
            "dl_msg_id": dl_msg_id,
            "original_msg_id": _text(fields.get("original_msg_id")),
            "candidate_id": None,
            "payload": jsonb({"fields": fields}),
            "reason": _text(fields.get("reason")),
            "dead_lettered_at": None,
            "archived_by": "dl_reconcile",
        },
    )
    if not ours:
        metrics.ARCHIVED.labels("stream").inc()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
