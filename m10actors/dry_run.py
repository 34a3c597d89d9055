"""What an evaluation would decide, without one: the same decision function, and nothing is written."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from m10actors.postgres import inputs
from m10actors.postgres.pool import Database
from m10actors.recovery.decision import Decision, decide
from m10actors.recovery.facts import Candidate, message_seen
from m10actors.recovery.failure import Failure
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import CONTRACT_RULES, Ruleset


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an evaluation would decide. `known`: the candidate exists; else it is what the failure would open."""

    candidate: Candidate
    known: bool
    decision: Decision


def dry_run(
    database: Database, policy: Policy, subject: int | Failure, ruleset: Ruleset = CONTRACT_RULES
) -> DryRun | None:
    """The decision on the candidate with an id as it stands, or on what would come of one more failure; None if there
    is no such candidate. Writes nothing.
    """
    prospect = inputs.preview(database, subject)
    if prospect is None:
        return None
    candidate = prospect.candidate
    if isinstance(subject, Failure):
        candidate = _opened(subject, prospect.at) if candidate is None else candidate.seen_again(1)
    if candidate is None:
        return None
    decision = decide(candidate, prospect.history, inputs.actions(database), policy, ruleset)
    return DryRun(candidate, prospect.candidate is not None, decision)


def _opened(failure: Failure, at: datetime) -> Candidate:
    """The candidate that the failure would open."""
    return Candidate(
        id=0,
        generation=1,
        error_code=failure.error_code,
        error_message=message_seen(failure.error_message),
        source=failure.source,
        fingerprint=failure.fingerprint,
        occurrence_count=1,
        at=at,
        age=timedelta(0),
    )
