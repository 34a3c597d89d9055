"""Brings the dead letters together that lie in several places: archive, dead-letter stream, pending entries list.

PostgreSQL has the record. What is only in the stream is archived; a copy leaves the stream when its dead letter was
replayed or purged, or when the stream is too long; an entry that is pending although it is a dead letter is
acknowledged. What has no copy is only counted: the copy is for eyes and other programs.
"""

import threading
from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from m10actors import logs, metrics
from m10actors.ops.job import Job
from m10actors.postgres.pool import Database, jsonb
from m10actors.recovery.graves import malformed_entry
from m10actors.streams import BadEntry, DeadLetterEntry, DeadLetterStream, Entry, PendingEntries, StreamMonitor
from m10actors.streams.codec import as_json
from m10actors.streams.dead_letters import BEGINNING

log = logs.logger(__name__)

LOCK = "dl_reconcile"
PAGE = 500
LONGEST_REASON = 200
_NAMES = uuid5(NAMESPACE_URL, "m10actors:dead-letter-stream")


def dead_letter_reconcile(
    database: Database, stream: DeadLetterStream, pending: PendingEntries, monitor: StreamMonitor, max_len: int
) -> Job:
    """Nothing leaves the stream before it is archived; past `max_len` the oldest archived entries leave."""

    def run(stopping: threading.Event) -> Mapping[str, int]:
        replayed = database.value("count_replayed")
        metrics.REPLAYED.inc(replayed)
        began = database.value("now")
        incarnation = monitor.incarnation()
        surplus = monitor.stats().dead_letter_length - max_len
        counts = {"archived": 0, "kept": 0, "settled": 0}
        after = BEGINNING
        while not stopping.is_set() and (page := stream.page(PAGE, after)):
            states = _reconciled(database, page, incarnation)
            for state in states.values():
                counts[state] += 1
            too_many = [entry.entry_id for entry in page[: max(surplus, 0)]]
            stream.remove([*too_many, *(each for each, state in states.items() if state == "settled")])
            surplus -= len(page)
            after = page[-1].entry_id
        metrics.ARCHIVED.labels("stream").inc(counts["archived"])
        dead = _acknowledge_dead(database, pending, incarnation, stopping)
        without = 0
        if not stopping.is_set():  # only now was all of the stream seen
            kept = counts["kept"] + counts["archived"]
            without = database.value("forget_gone", {"before": began, "kept": kept})
        return counts | {"replayed": replayed, "pending_and_dead": dead, "without_copy": without}

    return Job(LOCK, run)


def _reconciled(database: Database, page: Sequence[DeadLetterEntry], incarnation: str) -> dict[bytes, str]:
    """How each entry of a page stands, by its id: archived (it was not yet), kept, or settled."""
    fields = [as_json(entry.fields) for entry in page]
    rows = database.rows(
        "reconcile_copies",
        {
            "dl_msg_ids": [_dl_msg_id(entry, incarnation) for entry in page],
            "payloads": [jsonb({"fields": each}) for each in fields],
            "reasons": [_text(each.get("reason")) for each in fields],
            "entry_ids": [entry.entry_id.decode() for entry in page],
        },
    )
    return {entry_id.encode(): state for entry_id, state in rows}


def _acknowledge_dead(database: Database, pending: PendingEntries, incarnation: str, stopping: threading.Event) -> int:
    """Acknowledges entries that are dead letters already: a process died between the record and the stream, or Redis
    came back from an older copy. How many.
    """
    found, after = 0, BEGINNING
    while not stopping.is_set():
        entries, last = pending.page(PAGE, after)
        if last is None:
            break
        names = {entry.entry_id: _name(entry, incarnation) for entry in entries}
        dead = {row[0] for row in database.rows("dead_among", {"names": [name for name in names.values() if name]})}
        gone = [entry_id for entry_id, name in names.items() if name in dead]
        pending.finish(gone)
        if gone:
            log.info("pending_dead_letters", entries=len(gone))
        found += len(gone)
        after = last
    return found


def _name(entry: Entry | BadEntry, incarnation: str) -> str | None:
    """What its dead letter is called: the message, or of a malformed entry the dl_msg_id. None: whatever is due."""
    match entry:
        case Entry(candidate_id=candidate_id, generation=int(generation)):
            return f"{candidate_id}:{generation}"
        case Entry():
            return None
        case BadEntry(entry_id=entry_id):
            return malformed_entry(incarnation, entry_id.decode())


def _dl_msg_id(entry: DeadLetterEntry, incarnation: str) -> str:
    """Ours carry a UUID; an entry of another program gets one from where it stands."""
    try:
        return str(UUID(entry.fields[b"dl_msg_id"].decode("ascii")))
    except (KeyError, ValueError):
        return str(uuid5(_NAMES, f"{incarnation}:{entry.entry_id.decode()}"))


def _text(value: object) -> str | None:
    return value[:LONGEST_REASON] if isinstance(value, str) else None
