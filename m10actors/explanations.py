"""Why a candidate was decided as it was, and how it would be decided now. Nothing is written."""

from dataclasses import dataclass
from datetime import datetime

from m10actors.dry_run import dry_run
from m10actors.postgres import history
from m10actors.postgres.pool import Database
from m10actors.recovery.decision import Decision, from_record, reconsider
from m10actors.recovery.explaining import Explanation, differences, explain
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import Ruleset


@dataclass(frozen=True, slots=True)
class Account:
    """`then`: the last evaluation, at `decided_at`; None where there is no record of one, and `missing` says why.
    `now`: what an evaluation would come to. `since`: what it would go by that has changed.
    """

    then: Explanation | None
    decided_at: datetime | None
    missing: str
    now: Explanation
    since: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether it would be decided otherwise now."""
        return self.then is not None and _came_to(self.then.decision) != _came_to(self.now.decision)


def account(database: Database, policy: Policy, candidate_id: int, ruleset: Ruleset) -> Account | None:
    """None if there is no such candidate. By another evaluator than the rules: `now` is what it proposed then, with
    the gates of now.
    """
    found = dry_run(database, policy, candidate_id, ruleset)
    if found is None:
        return None
    assert found.decision.seen is not None
    recorded = history.last(database, candidate_id)
    if recorded is None:
        return Account(None, None, "there is no record of an evaluation", explain(found.decision, ruleset))
    try:
        decision = from_record(recorded.record)
    except ValueError as error:
        return Account(None, recorded.decided_at, str(error), explain(found.decision, ruleset))
    now = reconsider(decision, found.decision.seen, ruleset)
    return Account(
        then=explain(decision, ruleset, recorded.record.get("refused")),
        decided_at=recorded.decided_at,
        missing="",
        now=explain(now, ruleset),
        since=differences(decision, now),
    )


def _came_to(decision: Decision) -> tuple[object, ...]:
    return decision.action, decision.execute, decision.confidence
