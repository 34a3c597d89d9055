"""What an action publishes, by the kind of event that it is mapped to: each can be delivered as it stands."""

import json
from collections.abc import Mapping
from uuid import UUID

import pytest

from m10actors.delivery import Destination, Event
from m10actors.delivery.compose import Call, Notice, compose
from m10actors.postgres import evaluations, failures, inputs
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.decision import decide
from m10actors.recovery.facts import NO_HISTORY
from m10actors.recovery.failure import parse
from m10actors.recovery.gates import Policy
from m10actors.testing.database import MigratedDatabase

DESTINATIONS = {
    "ops": Destination("ops", "https://ops.example/hook"),
    "slack": Destination("slack", "https://hooks.slack.example/services/T0/B0/x"),
}


def published(database: MigratedDatabase, route: Mapping[str, object]) -> Event:
    """The event of a TIMEOUT whose action is carried out through `route`."""
    app, routes = database.pool("app"), {"retry_exponential": route}
    [accepted] = failures.ingest(app, [parse({"error_type": "TIMEOUT", "raw": "no answer"})], "test")
    given = inputs.read(app, [accepted.candidate_id])[accepted.candidate_id]
    policy = Policy(auto_execute=True, destinations_for=frozenset(routes))
    decision = decide(given.candidate, NO_HISTORY, SEEDED_ACTIONS, policy)
    [applied] = evaluations.apply(app, "test", [evaluations.Judged(given.candidate, decision, 1)], routes)
    assert applied.event_id is not None
    with database.connect("ops") as connection:
        row = connection.execute(
            "SELECT id, event_type, payload::text, destination FROM m10_recovery.outbox WHERE id = %s",
            [applied.event_id],
        ).fetchone()
    assert row is not None
    return Event(row[0], UUID(int=1), "recovery_candidate", "1", row[1], row[2].encode(), row[3], 0, "0" * 32)


def test_a_webhook_carries_the_versioned_body(database: MigratedDatabase) -> None:
    call = compose(
        published(database, {"event": "webhook:recovery", "destination": "ops", "template": {"a": 1}}), DESTINATIONS
    )
    assert isinstance(call, Call)
    body = json.loads(call.body)
    assert (body["version"], body["action"], body["template"], body["decided_by"]) == (
        1,
        "retry_exponential",
        {"a": 1},
        "rules",
    )
    assert body["failure"]["code"] == "TIMEOUT"
    assert body["execution_id"] == body["event_id"]


def test_an_http_event_takes_method_and_headers_from_the_template_and_carries_the_same_body(
    database: MigratedDatabase,
) -> None:
    template = {"method": "PUT", "headers": {"x-team": "payments"}}
    call = compose(
        published(database, {"event": "http:call", "destination": "ops", "template": template}), DESTINATIONS
    )
    assert isinstance(call, Call)
    assert (call.method, call.headers["x-team"]) == ("PUT", "payments")
    assert json.loads(call.body)["failure"]["message"] == "no answer"


@pytest.mark.parametrize("template", [{}, {"channel": "log", "text": "look"}])
def test_a_notice_to_the_log_says_the_suggestion_or_the_text_of_the_template(
    database: MigratedDatabase, template: dict[str, str]
) -> None:
    notice = compose(
        published(database, {"event": "notify:ops", "destination": None, "template": template}), DESTINATIONS
    )
    assert isinstance(notice, Notice)
    assert template.get("text", "retry_exponential for TIMEOUT") in notice.text


def test_a_notice_to_slack_goes_to_the_destination_slack(database: MigratedDatabase) -> None:
    route = {"event": "notify:ops", "destination": None, "template": {"channel": "slack"}}
    call = compose(published(database, route), DESTINATIONS)
    assert isinstance(call, Call)
    assert call.destination.name == "slack"
    assert "TIMEOUT" in json.loads(call.body)["text"]
