"""Webhooks of Sentry as failures. The three recorded ones are of one error: as the alert that it triggered (which names
an incident), as the error, and as the issue that it opened.
"""

import copy
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from m10actors.adapters.reading import Ignored
from m10actors.adapters.sentry import reading, signature_fits
from m10actors.recovery.failure import Failure
from m10actors.recovery.problems import InvalidFailure

FOLDER = Path(__file__).parents[1] / "data/webhooks"
ALERT, ERROR, ISSUE = (
    json.loads((FOLDER / f"sentry-{name}.json").read_text()) for name in ("event-alert", "error", "issue")
)


def error(**changed: Any) -> dict[str, Any]:
    """The recorded error, changed."""
    hook = copy.deepcopy(ERROR)
    hook["data"]["error"] |= changed
    return hook


def the_failure(hook: object, resource: str = "error") -> Failure:
    found = reading(hook, resource, "m10_incident")
    assert isinstance(found, Failure), found
    return found


@pytest.mark.parametrize(("hook", "resource"), [(ALERT, "event_alert"), (ERROR, "error"), (ISSUE, "issue")])
def test_each_recorded_webhook_is_a_failure_of_the_exception(hook: object, resource: str) -> None:
    found = the_failure(hook, resource)
    assert (found.source, found.error_code) == ("sentry", "ReadTimeout")
    assert found.error_message == "payment gateway did not answer within 30 s"
    meta = found.payload["meta"]
    assert isinstance(meta, dict)
    assert meta["project"] in {"42", "checkout"}
    assert meta["level"] == "error"


def test_an_event_has_one_key_by_whichever_webhook_it_comes() -> None:
    as_alert, as_error = the_failure(ALERT, "event_alert"), the_failure(ERROR)
    assert (as_alert.idempotency_key, as_error.idempotency_key) == (as_error.idempotency_key, as_alert.idempotency_key)
    assert the_failure(error(event_id="another")).idempotency_key != as_error.idempotency_key
    assert the_failure(ISSUE, "issue").idempotency_key != as_error.idempotency_key


def test_the_events_of_an_issue_are_one_failure_and_the_issue_is_too() -> None:
    one, other = the_failure(ERROR), the_failure(error(event_id="another", metadata={"type": "Other"}))
    assert one.failure_match_id == other.failure_match_id == the_failure(ISSUE, "issue").failure_match_id
    assert the_failure(error(issue_id="2")).failure_match_id != one.failure_match_id


def test_without_an_issue_the_fingerprint_tells_failures_apart() -> None:
    def match_id(**changed: Any) -> object:
        return the_failure(error(issue_id=None, **changed)).failure_match_id

    assert match_id(event_id="a") == match_id(event_id="b")
    assert match_id(metadata={"type": "Other"}) != match_id()
    assert match_id(fingerprint=["payments"]) == match_id(fingerprint=["payments"], metadata={"type": "Other"})
    assert match_id(fingerprint=["payments"], project=7) != match_id(fingerprint=["payments"])


@pytest.mark.parametrize(
    "tags",
    [
        [["m10_incident", "checkout-down"]],
        [{"key": "m10_incident", "value": "checkout-down"}],
        {"m10_incident": "checkout-down"},
    ],
)
def test_the_incident_alone_is_the_identity_where_a_tag_names_one(tags: object) -> None:
    found = the_failure(error(tags=tags, issue_id="2", fingerprint=["x"]))
    assert found.failure_match_id == the_failure(ALERT, "event_alert").failure_match_id
    assert found.error_signature == the_failure(ALERT, "event_alert").error_signature


def test_a_tag_may_say_the_error_code() -> None:
    assert the_failure(error(tags=[["error_code", "TIMEOUT"]])).error_code == "TIMEOUT"


def test_an_event_without_an_exception_is_known_by_its_message_or_title() -> None:
    bare = {"exception": None, "metadata": {"title": "x"}, "title": "cache is cold"}
    assert the_failure(error(**bare)).error_code == "UNKNOWN"
    assert the_failure(error(**bare)).error_message == "cache is cold"
    assert the_failure(error(**bare, message="cold")).error_message == "cold"


@pytest.mark.parametrize(
    ("resource", "action"),
    [("issue", "resolved"), ("issue", "assigned"), ("metric_alert", "critical"), ("installation", "created"), ("", "")],
)
def test_what_is_no_failure_is_ignored(resource: str, action: str) -> None:
    assert isinstance(reading({"action": action, "data": {}}, resource, "m10_incident"), Ignored)


@pytest.mark.parametrize(
    ("hook", "field"),
    [
        ([], ""),
        ({}, "action"),
        ({"action": 5}, "action"),
        ({"action": "created"}, "data.error"),
        ({"action": "created", "data": []}, "data.error"),
        ({"action": "created", "data": {"error": []}}, "data.error"),
        (error(event_id=None), "data.error.event_id"),
        (error(event_id={}), "data.error.event_id"),
    ],
)
def test_what_is_no_webhook_of_its_resource_says_where(hook: object, field: str) -> None:
    found = reading(hook, "error", "m10_incident")
    assert isinstance(found, InvalidFailure)
    assert found.problems[0].field == field


def test_a_signature_fits_one_body_and_one_secret() -> None:
    body = b'{"action":"created"}'
    made = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert signature_fits(body, made, "secret")
    assert not signature_fits(body + b" ", made, "secret")
    assert not signature_fits(body, made, "another")
    for wrong in ("", "\u00e9", made.upper(), made[:-1]):
        assert not signature_fits(body, wrong, "secret")
