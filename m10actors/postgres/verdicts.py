"""A person's verdict on candidates. An approval publishes its action in the same transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from psycopg.types.json import Jsonb

from m10actors.postgres.pool import Database

DecisionWord = Literal["approved", "rejected"]
Outcome = Literal[
    "approved",
    "rejected",
    "awaits_second",
    "first_expired",
    "first_changed",
    "same_person",
    "own_candidate",
    "not_found",
    "evaluation_due",
    "generation_differs",
    "already_decided",
    "no_action",
    "action_has_no_destination",
]
Standing = Literal["decided", "half", "refused"]
"""What a verdict came to: it is written; it is stored as the first of two approvals; it changed nothing."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides: the name of the token or of the account, which two approvals are told apart by. `claim`: the name
    that the sender says beside it, which proves nothing.
    """

    name: str
    claim: str | None = None

    @property
    def named(self) -> str:
        """Both names, as they are kept with the verdict."""
        return self.name if self.claim in {None, self.name} else f"{self.name} (claims: {self.claim})"


@dataclass(frozen=True, slots=True)
class Terms:
    """`expires`: how long the first of two approvals stands. `own`: whether who reported a failure may approve what is
    proposed for it.
    """

    expires: timedelta = timedelta(hours=4)
    own: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """A candidate, and the evaluation of it that the person saw; None if they did not say."""

    candidate_id: int
    generation: int | None = None


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
    chosen: Sequence[Choice],
    decision: DecisionWord,
    by: Person,
    note: str | None,
    routes: Mapping[str, object],
    terms: Terms = Terms(),
) -> list[Verdict]:
    """A verdict for each of `chosen`, in their order, each id once; all in one transaction. As m10_app.

    `routes`: what carries each action out, and whether two people have to approve it (`four_eyes`).
    """
    parameters = {
        "ids": [choice.candidate_id for choice in chosen],
        "generations": [choice.generation for choice in chosen],
        "decision": decision,
        "person": by.name,
        "named": by.named,
        "note": note,
        "routes": Jsonb(dict(routes)),
        "expires": terms.expires,
        "own": terms.own,
    }
    return [Verdict(*row) for row in database.rows("decide_candidates", parameters)]


def standing(outcome: Outcome) -> Standing:
    """Whether the verdict was written, stored as the first of two, or refused."""
    match outcome:
        case "approved" | "rejected":
            return "decided"
        case "awaits_second" | "first_expired" | "first_changed":
            return "half"
        case _:
            return "refused"


def said(outcome: Outcome) -> str:
    """The outcome, for the person who gave the verdict."""
    return _SAID[outcome]


_SAID: Mapping[Outcome, str] = {
    "approved": "approved",
    "rejected": "rejected",
    "awaits_second": "approved by you; a second person has to approve it too",
    "first_expired": "approved by you; the approval before yours has expired, so a second person has to approve it too",
    "first_changed": "approved by you; what was approved before has changed, so a second person has to approve it too",
    "same_person": "you have approved it already: a second person has to approve it too",
    "own_candidate": "you reported this failure yourself: another person has to approve it",
    "not_found": "there is no such candidate",
    "evaluation_due": "an evaluation is due: look at the candidate again when it is done",
    "generation_differs": "the candidate was evaluated again since: look at it again",
    "already_decided": "the candidate has its verdict already",
    "no_action": "no action is proposed that could be approved",
    "action_has_no_destination": "the proposed action has no destination: see [actions] of the configuration",
}
