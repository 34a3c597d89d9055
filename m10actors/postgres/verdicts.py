"""A person's verdict on a candidate. An approval publishes its action in the same transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from psycopg.types.json import Jsonb

from m10actors.postgres.pool import Database

Outcome = Literal[
    "approved",
    "rejected",
    "not_found",
    "evaluation_due",
    "generation_differs",
    "already_decided",
    "no_action",
    "action_has_no_destination",
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of it, and how the candidate stands now."""

    outcome: Outcome
    candidate_id: int
    decision: str | None
    execution_status: str | None
    evaluated_generation: int | None
    event_id: int | None
    event_type: str | None


def decide(
    database: Database,
    candidate_id: int,
    decision: Literal["approved", "rejected"],
    by: str,
    note: str | None,
    generation: int | None,
    routes: Mapping[str, object],
) -> Verdict:
    """`generation`: the evaluation that the person saw; None if they did not say."""
    parameters = {
        "candidate_id": candidate_id,
        "decision": decision,
        "by": by,
        "note": note,
        "generation": generation,
        "routes": Jsonb(dict(routes)),
    }
    return Verdict(*database.rows("decide_candidate", parameters)[0])


def why_not(outcome: Outcome) -> str | None:
    """Why a verdict was not written, for the person who gave it; None if it was."""
    match outcome:
        case "approved" | "rejected":
            return None
        case "not_found":
            return "there is no such candidate"
        case "evaluation_due":
            return "an evaluation is due: look at the candidate again when it is done"
        case "generation_differs":
            return "the candidate was evaluated again since: look at it again"
        case "already_decided":
            return "the candidate has its verdict already"
        case "no_action":
            return "no action is proposed that could be approved"
        case "action_has_no_destination":
            return "the proposed action has no destination: see [actions] of the configuration"
        case _:
            assert_never(outcome)
