"""What folds is measured in recovery_candidates: reported as callers report it, stored by the one way in."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid5

import pytest
from schema_kit import Lab

from bench.grouping import accuracy, by_drain, by_drain_as_published, data_sets
from m10actors.postgres import failures
from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import parse
from m10actors.recovery.fingerprint import NAMESPACE, SIGNATURE_LENGTH
from m10actors.testing.database import MigratedDatabase

LOGHUB = Path(__file__).parents[3] / "shared" / "data" / "loghub"
TRACE = """\
Traceback (most recent call last):
  File "{folder}/cart.py", line {line}, in total
    return price(order["{field}"])
KeyError: '{field}'
"""


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def candidates(lab: Lab, messages: Sequence[str]) -> list[int]:
    """Each message as a request of its own; the ids of the candidates that counted them."""
    bodies = [json.dumps({"error_type": "LOGGED", "raw": message, "source": "test"}).encode() for message in messages]
    stored = [parse(decode(body)) for body in bodies]
    accepted = [failures.ingest(lab.app, stored[at : at + 500], "test") for at in range(0, len(stored), 500)]
    return [each.candidate_id for batch in accepted for each in batch]


def test_failures_of_a_few_causes_are_as_many_candidates(lab: Lab) -> None:
    first, second = (TRACE.replace("{field}", field) for field in ("id", "sum"))
    causes = [
        lambda n: f"connection to 10.0.{n}.7:{5000 + n} refused after {n} ms",
        lambda n: f"cannot read /var/spool/job-{n}/input.csv: no space left",
        lambda n: f"2026-01-{n + 1:02} 10:00:{n:02} web-{n} ERROR\n" + first.format(folder=f"/srv/{n}", line=n),
        lambda n: f"request {n} failed\n" + second.format(folder=f"/opt/{n}", line=9 * n),
        lambda n: f'authentication failed for user "user{n}" from host{n}.example.com',
    ]
    groups = candidates(lab, [cause(number) for number in range(20) for cause in causes])
    assert accuracy(groups, list(range(len(causes))) * 20) == 1
    rows = lab.sql.execute("SELECT id, occurrence_count FROM public.recovery_candidates").fetchall()
    assert dict(rows) == Counter(groups) == dict.fromkeys(groups, 20)


@pytest.mark.needs("data:loghub")
@pytest.mark.parametrize("name", ["Hadoop", "OpenStack", "Zookeeper"])
def test_labelled_logs_are_grouped_better_than_by_drain(lab: Lab, name: str) -> None:
    [data] = [data for data in data_sets(LOGHUB) if data.name == name]
    reached = accuracy(candidates(lab, data.lines), data.events)
    assert reached > max(accuracy(by_drain(data), data.events), accuracy(by_drain_as_published(data), data.events))


def test_a_candidate_that_an_older_version_opened_stays_as_it_is(lab: Lab) -> None:
    message = "connection to 10.0.0.7:5432 refused"
    old_digest = "0123456789abcdef" * 4
    old = {
        "error_type": "LOGGED",
        "raw": message,
        "source": "test",
        "failure_match_id": str(uuid5(NAMESPACE, f"v1|test|{old_digest}")),
        "error_signature": old_digest[:SIGNATURE_LENGTH],
    }
    [opened] = failures.ingest(lab.app, [parse(old)], "test")
    before = lab.row(opened.candidate_id)
    [new] = candidates(lab, [message])
    assert new != opened.candidate_id
    assert lab.row(opened.candidate_id) == before
    [again] = failures.ingest(lab.app, [parse(old)], "test")
    assert (again.candidate_id, again.occurrence_count) == (opened.candidate_id, 2)
