"""Replays of dead letters as PostgreSQL keeps them: plans, runs, their items and how they stand. As m10_ops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.pool import Database, jsonb
from m10actors.replay.advice import Stage
from m10actors.replay.verdict import Phase, Tally, window

MOST: Final = 100_000
"""How many dead letters one replay takes, the oldest of what its filter means."""

RunState = Literal["open", "stopped", "done", "cancelled"]
EntryOutcome = Literal[
    "replayed", "not_found", "other_generation", "nothing_due", "already_replayed", "not_an_entry"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Planned:
    """How many of one group would be replayed, or why they would not; `sample_id` is one of them."""

    stage: Stage
    fingerprint: str
    cause: str
    refused: str | None
    count: int
    sample_id: int


@dataclass(frozen=True, slots=True)
class Run:
    """A replay. `wanted`: its filter; `note`: where and why it stands; `steps`: its history, the oldest first."""

    id: int
    wanted: Mapping[str, Any]
    cap: int
    stop_at: float
    state: RunState
    phase: Phase
    note: str | None
    asked_by: str
    why: str
    created_at: datetime
    updated_at: datetime
    steps: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of an item. `refused`: why it was left as it is; `generation`: of an evaluation that became due."""

    dl_msg_id: str | None
    stage: Stage | None
    refused: str | None
    candidate_id: int | None
    generation: int | None


@dataclass(frozen=True, slots=True)
class EntryReplayed:
    """What became of an entry that a person has made readable; `generation`: the one that its candidate has."""

    outcome: EntryOutcome
    dl_msg_id: str | None
    generation: int | None


def plan(database: Database, wanted: LetterFilter, cap: int) -> list[Planned]:
    """What a replay would do, the largest group first; nothing is changed."""
    rows = database.rows("plan_replay", {"wanted": jsonb(wanted.as_json()), "cap": cap, "most": MOST})
    return [Planned(*row) for row in rows]


def begin(database: Database, wanted: LetterFilter, cap: int, stop_at: float, by: str, why: str) -> Run | None:
    """A new replay with its items, nothing replayed yet; None where nothing can be."""
    asked = {"wanted": jsonb(wanted.as_json()), "cap": cap, "most": MOST, "stop_at": stop_at, "by": by, "why": why}
    number = database.value("begin_replay", asked)
    return None if number is None else run(database, number)


def run(database: Database, number: int) -> Run | None:
    """The replay of this number."""
    found = _runs(database, number, None, 1)
    return found[0] if found else None


def unfinished(database: Database) -> Run | None:
    """The replay that was begun and neither ended nor was stopped: there is at most one."""
    found = _runs(database, None, "open", 1)
    return found[0] if found else None


def runs(database: Database, limit: int) -> list[Run]:
    """The newest replays first."""
    return _runs(database, None, None, limit)


def replay_items(database: Database, number: int, holder: str, epoch: int, by: str, limit: int) -> list[Replayed]:
    """Replays at most `limit` of the next items, all in one transaction. LeaseLost: nothing was."""
    asked = {"run": number, "holder": holder, "epoch": epoch, "by": by, "limit": limit}
    return [Replayed(*row) for row in database.rows("replay_items", asked)]


def tally(database: Database, number: int, total: int = 0) -> Tally:
    """How it stands now; what has come to an end since is written down. `total`: its items, if they are known."""
    return Tally(*database.rows("tally_replay", {"run": number, "window": window(total)})[0])


def note(database: Database, number: int, by: str, what: str, state: RunState, phase: Phase) -> Run:
    """Writes what happened to it, and its state from now on; one that is over stays as it is."""
    asked = {"run": number, "by": by, "what": what, "state": state, "phase": phase}
    return Run(*database.rows("note_replay", asked)[0])


def replay_entry(
    database: Database, letter: int, candidate_id: int, generation: int | None, by: str, why: str
) -> EntryReplayed:
    """Replays an entry under the identity that a person gave it."""
    asked = {"letter": letter, "candidate_id": candidate_id, "generation": generation, "by": by, "why": why}
    return EntryReplayed(*database.rows("replay_entry", asked)[0])


def _runs(database: Database, number: int | None, state: RunState | None, limit: int) -> list[Run]:
    return [Run(*row) for row in database.rows("replay_runs", {"run": number, "state": state, "limit": limit})]
