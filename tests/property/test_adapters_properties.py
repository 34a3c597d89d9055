"""Whatever another system sends, an adapter answers with a failure that can be stored, with a reason, or with a refusal
that says what is wrong.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.adapters import alertmanager, sentry
from m10actors.adapters.reading import Ignored, Reading
from m10actors.recovery.content import content_problems
from m10actors.recovery.failure import Failure
from m10actors.recovery.problems import InvalidFailure

TEXTS = st.text(st.characters(codec=None), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(["alertname", "instance", "error_code", "m10_incident", "type", "value"]) | TEXTS
TABLES = st.dictionaries(NAMES, TEXTS | VALUES, max_size=5) | VALUES


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: field | VALUES for name, field in fields.items()})


ALERTS = objects(
    status=st.sampled_from(["firing", "resolved"]),
    labels=TABLES,
    annotations=TABLES,
    startsAt=st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    fingerprint=TEXTS,
    generatorURL=TEXTS,
)
EVENTS = objects(
    id=TEXTS,
    event_id=TEXTS,
    issue_id=TEXTS,
    tags=st.lists(st.lists(TEXTS, max_size=3) | TABLES, max_size=3) | TABLES,
    metadata=TABLES,
    exception=st.builds(lambda values: {"values": values}, st.lists(TABLES, max_size=2)),
    fingerprint=st.lists(TEXTS, max_size=2),
    title=TEXTS,
    project=TABLES,
)


def is_sound(found: Reading) -> bool:
    match found:
        case Failure():
            return not list(content_problems(found.payload)) and found.idempotency_key is not None
        case Ignored(reason):
            return bool(reason)
        case InvalidFailure():
            return bool(found.problems) and str(found).isascii()


@given(st.lists(ALERTS | VALUES, max_size=3))
def test_every_alert_has_a_sound_outcome(alerts: list[Any]) -> None:
    found = alertmanager.readings({"version": "4", "alerts": alerts}, "m10_incident")
    assert len(found) == len(alerts)
    assert all(map(is_sound, found))


@given(EVENTS, st.sampled_from(["event_alert", "error", "issue"]))
def test_every_event_has_a_sound_outcome(event: dict[str, Any], resource: str) -> None:
    action = "triggered" if resource == "event_alert" else "created"
    hook = {"action": action, "data": {"event": event, "error": event, "issue": event}}
    assert is_sound(sentry.reading(hook, resource, "m10_incident"))


@given(VALUES)
def test_what_is_no_notification_is_refused_with_a_reason(payload: Any) -> None:
    with pytest.raises(InvalidFailure):
        alertmanager.readings(payload, "m10_incident")
    assert is_sound(sentry.reading(payload, "error", "m10_incident"))
