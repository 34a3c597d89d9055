"""Pauses in PostgreSQL: read by the pipeline, written by operations."""

from collections.abc import Sequence
from datetime import timedelta

from m10actors.postgres.pool import Database
from m10actors.recovery.pauses import Part, Pause


def pauses(database: Database) -> tuple[Pause, ...]:
    """What is paused now; a pause whose end has come is none. As m10_app."""
    return tuple(_pause(*row) for row in database.rows("paused_parts"))


def pause(
    database: Database, parts: Sequence[Part], by: str, reason: str, duration: timedelta | None
) -> tuple[Pause, ...]:
    """Pauses `parts`, with a line in the control log for each; a part that is paused already gets the new end and
    reason. As m10_ops.
    """
    given = {"parts": list(parts), "by": by, "reason": reason, "duration": duration}
    return tuple(_pause(*row) for row in database.rows("pause_parts", given))


def resume(database: Database, parts: Sequence[Part], by: str, reason: str | None) -> tuple[Part, ...]:
    """Those of `parts` that were paused and are not any more, with a line in the control log for each. As m10_ops."""
    rows = database.rows("resume_parts", {"parts": list(parts), "by": by, "reason": reason})
    return tuple(Part(row[0]) for row in rows)


def note_drain(database: Database, worker: str, by: str) -> None:
    """Writes down that a process was asked to end. As m10_ops."""
    database.run("note_drain", {"worker": worker, "by": by})


def _pause(part: str, by: str, reason: str | None, since: object, until: object) -> Pause:
    return Pause(Part(part), by, reason, since, until)  # type: ignore[arg-type]
