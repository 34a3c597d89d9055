"""What an evaluation would decide, without one: the same decision function, and nothing is written."""

from dataclasses import dataclass, replace

from m10actors.postgres import evaluations as store
from m10actors.postgres.pool import Database
from m10actors.recovery.decision import Candidate, Decision, Policy, decide
from m10actors.recovery.failure import Failure


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an evaluation would decide. `known`: the candidate exists; else it is what the failure would open."""

    candidate: Candidate
    known: bool
    decision: Decision


def dry_run(database: Database, policy: Policy, subject: int | Failure) -> DryRun | None:
    """The decision on the candidate with an id as it stands, or on what would come of one more failure; None if there
    is no such candidate. Writes nothing.
    """
    known, history = store.preview(database, subject)
    match subject:
        case Failure():
            candidate = _after(subject, known.candidate if known else None)
        case _ if known is not None:
            candidate = known.candidate
        case _:
            return None
    return DryRun(candidate, known is not None, decide(candidate, history, store.actions(database), policy))


def _after(failure: Failure, known: Candidate | None) -> Candidate:
    """The candidate once the failure is counted on it."""
    if known is not None:
        return replace(known, occurrence_count=known.occurrence_count + 1)
    return Candidate(
        id=0,
        generation=1,
        error_code=failure.error_code,
        error_message=failure.error_message,
        source=failure.source,
        fingerprint=failure.fingerprint,
        occurrence_count=1,
    )
