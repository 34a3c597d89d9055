"""Prometheus Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config

A notification carries the alerts of a group and comes again at every `repeat_interval`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from m10actors.adapters.reading import CODE_NAMES, Ignored, Reading, failure_from, scalar, texts
from m10actors.recovery.decoding import MAX_BATCH_ITEMS, refuse
from m10actors.recovery.fields import Fields
from m10actors.recovery.problems import Code, InvalidFailure, Problem

SOURCE: Final = "alertmanager"
REPLICA_LABELS: Final = frozenset(
    {
        "instance",
        "pod",
        "pod_name",
        "pod_ip",
        "container_id",
        "node",
        "host",
        "hostname",
        "replica",
        "endpoint",
        "prometheus",
        "prometheus_replica",
    }
)
"""Labels that say which replica it was, not what failed: alerts that differ in these alone are the same failure."""
_MESSAGES: Final = ("summary", "description", "message")


def readings(notification: object, incident_label: str) -> list[Reading]:
    """What became of each alert of a notification, in order; InvalidFailure where it is no notification at all.

    A failure is a firing alert: the same failure are those with the same name and labels, those of the replica left
    out. An alert that fires on counts once; one that ended and fires anew (another startsAt) counts again.
    """
    if not isinstance(notification, dict):
        raise InvalidFailure(Problem(Code.OBJECT_EXPECTED, "", "a notification is a JSON object"))
    problems: list[Problem] = []
    alerts = notification.get("alerts")
    if notification.get("version") != "4":
        problems.append(Problem(Code.OUT_OF_RANGE, "version", 'is not "4", the version of Alertmanager\'s webhook'))
    if not isinstance(alerts, list):
        problems.append(Problem(Code.INVALID_TYPE, "alerts", "is no array"))
    elif len(alerts) > MAX_BATCH_ITEMS:
        problems.append(Problem(Code.OUT_OF_RANGE, "alerts", f"has more than {MAX_BATCH_ITEMS} items: see max_alerts"))
    refuse(problems)
    assert isinstance(alerts, list)
    return [_reading(alert, f"alerts[{number}].", incident_label) for number, alert in enumerate(alerts)]


def _reading(alert: object, prefix: str, incident_label: str) -> Reading:
    if not isinstance(alert, dict):
        return InvalidFailure(Problem(Code.OBJECT_EXPECTED, prefix.rstrip("."), "is no JSON object"))
    if alert.get("status") == "resolved":
        return Ignored("the alert is resolved")
    problems: list[Problem] = []
    fields = Fields(alert, problems, prefix)
    if alert.get("status") != "firing":
        fields.note("status", Code.OUT_OF_RANGE, "is neither firing nor resolved")
    labels = fields.mapping("labels") or {}
    name = _required(Fields(labels, problems, f"{prefix}labels."), labels, "alertname")
    fingerprint, started = _required(fields, alert, "fingerprint"), _required(fields, alert, "startsAt")
    moment = _moment(started)
    if started and moment is None:
        fields.note("startsAt", Code.INVALID_TIMESTAMP, "is no time with an offset in 2000 .. 2099")
    try:
        refuse(problems)
        assert moment is not None
        return _failure(alert, name, f"{fingerprint}|{moment.isoformat()}", incident_label)
    except InvalidFailure as invalid:
        return invalid


def _failure(alert: Mapping[str, object], name: str, key: str, incident_label: str) -> Reading:
    labels, annotations = texts(alert.get("labels")), texts(alert.get("annotations"))
    what = {label: value for label, value in sorted(labels.items()) if label not in REPLICA_LABELS}
    said = next((annotations[each] for each in _MESSAGES if annotations.get(each, "").strip()), None)
    return failure_from(
        source=SOURCE,
        code=next((labels[each] for each in CODE_NAMES if labels.get(each, "").strip()), name),
        message=said or f"{name} fires: {', '.join(f'{label}={value}' for label, value in what.items())}",
        identity=json.dumps(what),
        incident=labels.get(incident_label, "").strip() or None,
        key=key,
        details={
            "labels": labels,
            "annotations": annotations,
            "startsAt": scalar(alert.get("startsAt")),
            "generatorURL": scalar(alert.get("generatorURL")),
            "fingerprint": scalar(alert.get("fingerprint")),
        },
    )


def _required(fields: Fields, given: Mapping[str, object], name: str) -> str:
    """The text of a field that must be there; empty, and a problem, where it is not."""
    if given.get(name) is None:
        fields.note(name, Code.MISSING_FIELD, "is missing")
    return fields.text(name) or ""


def _moment(text: str) -> datetime | None:
    """A time of our time, in UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None and 2000 <= moment.year < 2100 else None
