"""A storm of alerts: few candidates where the causes are few, and never more executions than the caps allow."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from schema_kit import ROUTES, Lab

from m10actors.adapters import alertmanager
from m10actors.config.people import Autonomy
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.postgres import failures
from m10actors.recovery.failure import Failure
from m10actors.recovery.gates import Policy
from m10actors.testing.database import MigratedDatabase

BATCH = 1000


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def alerts(count: int, causes: int) -> Iterator[list[Failure]]:
    """Notifications of so many firing alerts: so many causes, each on many machines and again and again."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for first in range(0, count, BATCH):
        notification = {
            "version": "4",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "UpstreamTimeout", "service": f"s{n % causes}", "instance": f"host-{n}"},
                    "annotations": {"summary": f"the upstream of s{n % causes} does not answer"},
                    "startsAt": (began + timedelta(seconds=n)).isoformat(),
                    "fingerprint": f"{n:016x}",
                }
                for n in range(first, first + BATCH)
            ],
        }
        yield [each for each in alertmanager.readings(notification, "incident") if isinstance(each, Failure)]


def through(lab: Lab, count: int, causes: int, limits: Autonomy) -> set[int]:
    """Takes the alerts in and evaluates what is due after each notification; the candidates."""
    rules = Rules(Policy(auto_execute=True, destinations_for=frozenset(ROUTES)), ROUTES, limits=limits.limits)
    evaluation = Evaluation(lab.app, "host:1:abc/claim_worker.1", lambda: rules)
    seen: set[int] = set()
    for batch in alerts(count, causes):
        accepted = failures.ingest(lab.app, batch, "alertmanager")
        assert len(accepted) == BATCH
        due = sorted({each.candidate_id for each in accepted if each.became_due})
        seen |= {each.candidate_id for each in accepted}
        evaluation.evaluate([Work(each, None) for each in due], "test")
    return seen


def published(lab: Lab) -> int:
    return int(lab.value("SELECT count(*) FROM m10_recovery.outbox"))


def test_ten_thousand_alerts_of_twelve_causes_are_twelve_candidates_and_no_more_executions_than_caps(lab: Lab) -> None:
    assert len(through(lab, 10_000, 12, Autonomy(per_hour=7))) == 12
    assert published(lab) == 7
    waiting = lab.sql.execute(
        "SELECT explain ->> 'reason', suggestion FROM recovery_candidates WHERE decision = 'pending'"
    )
    found = waiting.fetchall()
    assert {row[0] for row in found} <= {"capped", "below_auto_confidence"}
    assert any("capped: 7 an hour for all" in row[1] for row in found)
    assert lab.value("SELECT sum(occurrence_count) FROM recovery_candidates") == 10_000


def test_alerts_that_are_all_different_are_carried_out_up_to_the_cap_of_the_hour(lab: Lab) -> None:
    count = 3000  # the caps alone are asked for ten thousand in test_people_caps.py
    assert len(through(lab, count, count, Autonomy(per_hour=50))) == count
    assert published(lab) == 50
    assert lab.value("SELECT count(*) FROM recovery_candidates WHERE explain ->> 'reason' = 'capped'") == count - 50
