"""Notifications of Alertmanager as failures. The recorded one has a firing alert with an incident, one without, and a
resolved one.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from m10actors.adapters.alertmanager import readings
from m10actors.adapters.reading import Ignored
from m10actors.recovery.failure import Failure
from m10actors.recovery.problems import InvalidFailure

RECORDED = json.loads((Path(__file__).parents[1] / "data/webhooks/alertmanager.json").read_text())


def notification(**changed: Any) -> dict[str, Any]:
    """The recorded notification, with its second alert alone, changed."""
    alert = copy.deepcopy(RECORDED["alerts"][1])
    for name, value in changed.items():
        if isinstance(value, dict) and isinstance(alert.get(name), dict):
            alert[name] |= value
        else:
            alert[name] = value
    return {**RECORDED, "alerts": [alert]}


def only(payload: object) -> Any:
    (found,) = readings(payload, "m10_incident")
    return found


def the_failure(**changed: Any) -> Failure:
    found = only(notification(**changed))
    assert isinstance(found, Failure), found
    return found


def problems(**changed: Any) -> list[str]:
    found = only(notification(**changed))
    assert isinstance(found, InvalidFailure)
    return [f"{problem.code} {problem.field}" for problem in found.problems]


def test_the_recorded_notification_has_two_failures_and_an_alert_that_is_resolved() -> None:
    slow, disk, host = readings(RECORDED, "m10_incident")
    assert isinstance(slow, Failure)
    assert isinstance(disk, Failure)
    assert (slow.source, slow.error_code, slow.error_message) == (
        "alertmanager",
        "TIMEOUT",
        "checkout answers too slowly",
    )
    assert disk.error_code == "DiskWillFill"
    assert disk.error_message == "DiskWillFill fires: alertname=DiskWillFill, cluster=eu-1, job=node, severity=warning"
    assert host == Ignored("the alert is resolved")
    meta = slow.payload["meta"]
    assert isinstance(meta, dict)
    assert meta["labels"] == RECORDED["alerts"][0]["labels"]
    assert meta["annotations"] == RECORDED["alerts"][0]["annotations"]


def test_a_notification_that_is_repeated_has_the_same_key_whatever_its_annotations_show() -> None:
    first = the_failure(annotations={"description": "the value is 1"})
    again = the_failure(annotations={"description": "the value is 2"})
    assert (again.idempotency_key, again.payload_hash) == (first.idempotency_key, first.payload_hash)


def test_an_alert_that_fires_anew_is_the_same_failure_with_another_key() -> None:
    first, anew = the_failure(), the_failure(startsAt="2026-11-03T03:10:37.211Z")
    assert (anew.failure_match_id, anew.error_signature) == (first.failure_match_id, first.error_signature)
    assert anew.idempotency_key != first.idempotency_key


def test_the_same_moment_of_another_time_zone_is_the_same_key() -> None:
    elsewhere = the_failure(startsAt="2026-11-02T04:10:37.211+01:00")
    assert elsewhere.idempotency_key == the_failure().idempotency_key


def test_another_replica_is_the_same_failure_with_a_key_of_its_own() -> None:
    first = the_failure()
    other = the_failure(labels={"instance": "10.3.0.99:9100", "pod": "x"}, fingerprint="ffffffffffffffff")
    assert other.failure_match_id == first.failure_match_id
    assert other.idempotency_key != first.idempotency_key


@pytest.mark.parametrize("label", ["alertname", "job", "severity", "namespace"])
def test_any_other_label_makes_another_failure(label: str) -> None:
    assert the_failure(labels={label: "another"}).failure_match_id != the_failure().failure_match_id


def test_the_incident_alone_is_the_identity_where_one_is_named() -> None:
    labels = {"m10_incident": " disk "}
    first = the_failure(labels=labels)
    other = the_failure(labels={**labels, "alertname": "Other", "severity": "page"})
    assert (other.failure_match_id, other.error_signature) == (first.failure_match_id, first.error_signature)
    assert first.failure_match_id != the_failure().failure_match_id
    (renamed,) = readings(notification(labels={"incident": "disk"}), "incident")
    assert isinstance(renamed, Failure)
    assert renamed.failure_match_id == first.failure_match_id


def test_text_that_postgres_does_not_store_is_replaced_rather_than_lost() -> None:
    found = the_failure(annotations={"summary": "a\x00b\ud800c", "long": "x" * 5000})
    assert found.error_message == "a\N{REPLACEMENT CHARACTER}b?c"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"status": "pending"}, ["out_of_range alerts[0].status"]),
        ({"labels": None}, ["missing_field alerts[0].labels.alertname"]),
        ({"labels": {"alertname": 5}}, ["invalid_type alerts[0].labels.alertname"]),
        ({"labels": {"alertname": " "}}, ["missing_field alerts[0].labels.alertname"]),
        ({"labels": []}, ["object_expected alerts[0].labels", "missing_field alerts[0].labels.alertname"]),
        ({"fingerprint": None}, ["missing_field alerts[0].fingerprint"]),
        ({"startsAt": None}, ["missing_field alerts[0].startsAt"]),
        ({"startsAt": "2026-02-30T00:00:00Z"}, ["invalid_timestamp alerts[0].startsAt"]),
        ({"startsAt": "2026-02-03T00:00:00"}, ["invalid_timestamp alerts[0].startsAt"]),
        ({"startsAt": "0001-01-01T00:00:00+14:00"}, ["invalid_timestamp alerts[0].startsAt"]),
        ({"startsAt": "infinity"}, ["invalid_timestamp alerts[0].startsAt"]),
    ],
)
def test_an_alert_that_is_wrong_says_where(changed: dict[str, Any], expected: list[str]) -> None:
    assert problems(**changed) == expected


def test_one_wrong_alert_spoils_only_itself() -> None:
    found = readings({"version": "4", "alerts": [7, *RECORDED["alerts"]]}, "m10_incident")
    assert [type(each) for each in found] == [InvalidFailure, Failure, Failure, Ignored]


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ([], ""),
        ({}, "version"),
        ({"version": 4, "alerts": []}, "version"),
        ({"version": "4"}, "alerts"),
        ({"version": "4", "alerts": {}}, "alerts"),
        ({"version": "4", "alerts": [{}] * 1001}, "alerts"),
    ],
)
def test_what_is_no_notification_is_refused_as_a_whole(payload: object, field: str) -> None:
    with pytest.raises(InvalidFailure) as refused:
        readings(payload, "m10_incident")
    assert refused.value.problems[0].field == field
