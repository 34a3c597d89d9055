"""Brings the dead-letter stream and its archive together: what is only there is archived, then the stream is
shortened.
"""

import threading
from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from m10actors import metrics
from m10actors.ops.job import Job
from m10actors.postgres.pool import Database, jsonb
from m10actors.streams import DeadLetterEntry, DeadLetterStream, StreamMonitor
from m10actors.streams.codec import as_json
from m10actors.streams.dead_letters import BEGINNING

LOCK = "dl_reconcile"
PAGE = 500
LONGEST_REASON = 200
_NAMES = uuid5(NAMESPACE_URL, "m10actors:dead-letter-stream")


def dead_letter_reconcile(database: Database, stream: DeadLetterStream, monitor: StreamMonitor, max_len: int) -> Job:
    """Nothing leaves the stream before it is archived; past `max_len` the oldest archived entries leave."""

    def run(stopping: threading.Event) -> Mapping[str, int]:
        incarnation = monitor.incarnation()
        surplus = monitor.stats().dead_letter_length - max_len
        seen, new, after = 0, 0, BEGINNING
        while not stopping.is_set() and (page := stream.page(PAGE, after)):
            new += _archive(database, page, incarnation)
            if surplus > 0:
                stream.remove([entry.entry_id for entry in page[:surplus]])
                surplus -= len(page)
            seen += len(page)
            after = page[-1].entry_id
        metrics.ARCHIVED.labels("stream").inc(new)
        return {"seen": seen, "archived": new}

    return Job(LOCK, run)


def _archive(database: Database, page: Sequence[DeadLetterEntry], incarnation: str) -> int:
    """How many of a page were not in the archive yet."""
    fields = [as_json(entry.fields) for entry in page]
    new: int = database.value(
        "archive_stream_entries",
        {
            "dl_msg_ids": [_dl_msg_id(entry, incarnation) for entry in page],
            "payloads": [jsonb({"fields": each}) for each in fields],
            "reasons": [_text(each.get("reason")) for each in fields],
            "entry_ids": [entry.entry_id.decode() for entry in page],
        },
    )
    return new


def _dl_msg_id(entry: DeadLetterEntry, incarnation: str) -> str:
    """Ours carry a UUID; an entry of another program gets one from where it stands."""
    try:
        return str(UUID(entry.fields[b"dl_msg_id"].decode("ascii")))
    except (KeyError, ValueError):
        return str(uuid5(_NAMES, f"{incarnation}:{entry.entry_id.decode()}"))


def _text(value: object) -> str | None:
    return value[:LONGEST_REASON] if isinstance(value, str) else None
