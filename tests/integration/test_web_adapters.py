"""Alertmanager and Sentry report by their own webhooks; the recorded payloads are in tests/data/webhooks."""

import copy
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_kit import LOOPBACK, Answer, Site, converse, listening, open_site, without_postgres

from m10actors.embedded import EmbeddedServers
from m10actors.web.apps import ADAPTERS_PREFIX, api_app
from m10actors.web.server import Listener
from m10actors.web.services import Webhooks

FOLDER = Path(__file__).parents[1] / "data/webhooks"
NOTIFICATION, ALERT, ERROR = (
    json.loads((FOLDER / f"{name}.json").read_text()) for name in ("alertmanager", "sentry-event-alert", "sentry-error")
)
SECRET = "the client secret of the integration"


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_adapters", webhooks=Webhooks(sentry_secret=SECRET)) as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


@pytest.fixture(autouse=True)
def nothing_stored_yet(site: Site) -> None:
    site.sql("DELETE FROM m10_recovery.accepted_key")
    site.sql("TRUNCATE public.recovery_candidates CASCADE")


def notify(site: Site, payload: object) -> Answer:
    return site.api("POST", f"{ADAPTERS_PREFIX}/alertmanager", payload, "recovery:write")


def hook(site: Site, payload: object, resource: str, **headers: str) -> Answer:
    headers.setdefault("authorization", f"Bearer {site.token['recovery:write']}")
    path = f"{ADAPTERS_PREFIX}/sentry"
    return site.api("POST", path, payload, **headers, sentry_hook_resource=resource)


def signed(site: Site, body: bytes, secret: str = SECRET) -> Answer:
    """As Sentry sends it: signed, and without a token."""
    headers = {
        "sentry-hook-resource": "error",
        "sentry-hook-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return site.api("POST", f"{ADAPTERS_PREFIX}/sentry", body, **headers)


def firing(number: int, **changed: Any) -> dict[str, Any]:
    """The recorded notification with one of its alerts alone, changed."""
    alert = {**copy.deepcopy(NOTIFICATION["alerts"][number]), **changed}
    return {**NOTIFICATION, "alerts": [alert]}


def candidates(site: Site) -> list[tuple[Any, ...]]:
    return site.sql("SELECT source, error_code, occurrence_count FROM public.recovery_candidates ORDER BY id")


def test_each_firing_alert_is_a_failure_and_a_resolved_one_is_not(site: Site) -> None:
    answer = notify(site, NOTIFICATION)
    assert answer.status == 200, answer.raw
    counts = {name: answer.json[name] for name in ("accepted", "duplicates", "rejected", "ignored")}
    assert counts == {"accepted": 2, "duplicates": 0, "rejected": 0, "ignored": 1}
    assert [item["status"] for item in answer.json["items"]] == ["accepted", "accepted", "ignored"]
    assert answer.json["items"][2]["reason"] == "the alert is resolved"
    assert candidates(site) == [("alertmanager", "TIMEOUT", 1), ("alertmanager", "DiskWillFill", 1)]


def test_a_notification_that_is_repeated_counts_once_and_a_new_firing_counts_again(site: Site) -> None:
    for value in range(3):
        notify(site, firing(1, annotations={"description": f"the value is {value}"}))
    assert candidates(site) == [("alertmanager", "DiskWillFill", 1)]
    answer = notify(site, firing(1, startsAt="2026-11-03T00:00:00Z"))
    assert answer.json["items"][0]["counted"] is True
    assert candidates(site) == [("alertmanager", "DiskWillFill", 2)]
    assert site.sql("SELECT count(*) FROM m10_recovery.accepted_key") == [(2,)]


def test_the_events_of_a_sentry_issue_fold_and_each_counts_once(site: Site) -> None:
    other = copy.deepcopy(ERROR)
    other["data"]["error"]["event_id"] = "0" * 32
    for payload in (ERROR, ERROR, other):
        assert hook(site, payload, "error").status == 200
    assert candidates(site) == [("sentry", "ReadTimeout", 2)]


def test_alertmanager_and_sentry_payloads_of_one_incident_are_one_candidate_with_the_right_count(site: Site) -> None:
    anew = copy.deepcopy(ALERT)
    anew["data"]["event"]["event_id"] = "1" * 32
    answers = [
        notify(site, firing(0)),
        hook(site, ALERT, "event_alert"),
        notify(site, firing(0)),  # repeat_interval
        hook(site, ALERT, "event_alert"),  # sent once more
        hook(site, anew, "event_alert"),
        notify(site, firing(0, fingerprint="f" * 16)),  # another replica of the same service
    ]
    assert [answer.status for answer in answers] == [200] * 6
    assert [answer.json["items"][0]["counted"] for answer in answers] == [True, True, False, False, True, True]
    assert len({answer.json["items"][0]["candidate_id"] for answer in answers}) == 1
    assert candidates(site) == [("alertmanager", "TIMEOUT", 4)]


def test_what_sentry_signs_needs_no_token_and_is_stored_under_its_name(site: Site) -> None:
    assert signed(site, json.dumps(ERROR).encode()).json["accepted"] == 1
    assert site.sql("SELECT created_by FROM public.recovery_candidates") == [("sentry",)]


@pytest.mark.parametrize("secret", ["another", ""])
def test_another_signature_is_401(site: Site, secret: str) -> None:
    answer = signed(site, json.dumps(ERROR).encode(), secret)
    assert (answer.status, answer.json["error"]) == (401, "unauthorized")
    assert candidates(site) == []


def test_a_stranger_is_refused_before_the_body_is_read(site: Site) -> None:
    for path in ("alertmanager", "sentry"):
        head = (
            f"POST {ADAPTERS_PREFIX}/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            "sentry-hook-resource: error\r\nconnection: close\r\ncontent-length: 999\r\n\r\n"
        )
        assert b" 401 " in converse(site.addresses["api"], head.encode())[:20]


def test_without_a_secret_in_the_configuration_a_signature_is_nothing(servers: EmbeddedServers) -> None:
    with (
        open_site(servers.start(), "web_adapters_bare") as bare,
        listening(bare, Listener("api", LOOPBACK, api_app(bare.services))),
    ):
        assert signed(bare, b"{}", "").status == 401


def test_both_need_a_token_that_may_write(site: Site) -> None:
    for path in ("alertmanager", "sentry"):
        assert site.api("POST", f"{ADAPTERS_PREFIX}/{path}", {}, sentry_hook_resource="error").status == 401
        refused = site.api("POST", f"{ADAPTERS_PREFIX}/{path}", {}, "recovery:read", sentry_hook_resource="error")
        assert (refused.status, refused.json["error"]) == (403, "scope_missing")


def test_what_is_malformed_says_where_and_spoils_only_itself(site: Site) -> None:
    answer = notify(site, {**NOTIFICATION, "alerts": [{"status": "firing"}, NOTIFICATION["alerts"][1]]})
    assert [item["status"] for item in answer.json["items"]] == ["rejected", "accepted"]
    assert answer.json["items"][0]["problems"][0]["field"] == "alerts[0].labels.alertname"
    assert notify(site, {"version": "3"}).status == 422
    assert notify(site, b"{").status == 400
    assert hook(site, {"action": "created"}, "error").json["rejected"] == 1
    assert hook(site, {"action": "resolved"}, "issue").json["ignored"] == 1
    answer = site.api("POST", f"{ADAPTERS_PREFIX}/sentry", ERROR, "recovery:write")
    assert (answer.status, answer.json["problems"][0]["field"]) == (422, "header.sentry-hook-resource")


def test_without_postgres_both_are_503_and_come_again(servers: EmbeddedServers, site: Site) -> None:
    with without_postgres(servers, site):
        answers = [notify(site, NOTIFICATION), hook(site, ERROR, "error")]
    assert [answer.status for answer in answers] == [503, 503]
    assert notify(site, NOTIFICATION).json["accepted"] == 2
