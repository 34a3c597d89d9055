"""The result of an execution, told over HTTP."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from web_kit import LOOPBACK, PREFIX, ROUTES, Answer, Site, failure, listening, open_site, without_postgres

from m10actors import metrics
from m10actors.embedded import EmbeddedServers
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.recovery.gates import Policy
from m10actors.web.apps import api_app
from m10actors.web.server import Listener


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_results") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


def executing(site: Site, follows: list[dict[str, object]] | None = None) -> str:
    """A candidate whose action is under way by itself; the execution's id."""
    candidate_id = int(site.ingest(failure(failure_match_id=str(uuid.uuid4()))).json["candidate_id"])
    routes = {code: route | {"follows": follows or []} for code, route in ROUTES.items()}
    rules = Rules(Policy(auto_execute=True, destinations_for=frozenset(routes)), routes)
    Evaluation(site.services.database, "w", lambda: rules).evaluate([Work(candidate_id, None)], "test")
    [(execution,)] = site.sql("SELECT execution_id FROM m10_recovery.execution WHERE candidate_id = %s", [candidate_id])
    return str(execution)


def report(site: Site, execution: str, body: object, scope: str | None = "recovery:write") -> Answer:
    return site.api("POST", f"{PREFIX}/executions/{execution}/result", body, scope)


def counted(outcome: str) -> float:
    return metrics.REGISTRY.get_sample_value("m10_execution_outcomes_total", {"outcome": outcome}) or 0.0


def test_a_result_is_recorded_once_and_the_first_one_stands(site: Site) -> None:
    execution, before = executing(site), counted("failed")
    first = report(site, execution, {"status": "failed", "detail": {"why": "disk full"}})
    assert first.status == 200, first.raw
    told = first.json
    assert told.pop("reported_at")
    assert told.pop("candidate_id")
    assert told == {
        "execution_id": execution,
        "result": "failed",
        "detail": {"why": "disk full"},
        "reported_by": "test recovery:write",
        "execution_status": "failed",
        "ended_by": "result",
    }
    again = report(site, execution, {"status": "failed"})
    other = report(site, execution, {"status": "succeeded"})
    assert (again.status, again.json) == (200, first.json)
    assert (other.status, other.json["error"], other.json["first"]) == (409, "already_reported", first.json)
    assert counted("failed") == before + 1


def test_the_action_that_follows_is_published_and_the_leader_woken(site: Site) -> None:
    later: dict[str, object] = {
        "action": "fallback_model",
        "event": "webhook:recovery",
        "destination": "there",
        "template": {},
    }
    site.sql("""SELECT m10_recovery.configure('{"autonomy": {"auto_execute": true}}')""")
    execution, woken = executing(site, [later]), len(site.wakes)
    assert report(site, execution, {"status": "failed", "detail": "no model"}).json["detail"] == {"text": "no model"}
    assert len(site.wakes) == woken + 1
    assert site.sql("SELECT count(*) FROM m10_recovery.execution WHERE begun_by = 'chain'") == [(1,)]


@pytest.mark.parametrize("execution", ["9c8a22f6-13ec-4c43-ac1e-3a0693f23507", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_execution_is_404(site: Site, execution: str) -> None:
    assert report(site, execution, {"status": "succeeded"}).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "running"}, "status"),
        ({"status": "failed", "detail": 7}, "detail"),
        ({"status": "failed", "detail": "x" * 4001}, "detail"),
        ({"status": "failed", "by": "me"}, "by"),
    ],
)
def test_what_is_wrong_with_a_result_is_told_by_field(site: Site, body: Any, field: str) -> None:
    answer = report(site, executing(site), body)
    assert answer.status == 422, answer.raw
    assert [problem["field"] for problem in answer.json["problems"]] == [field]


def test_an_id_that_is_none_is_422(site: Site) -> None:
    assert report(site, "7", {"status": "failed"}).status == 422


@pytest.mark.parametrize(("scope", "status"), [(None, 401), ("recovery:read", 403), ("recovery:approve", 403)])
def test_only_who_may_write_tells_results(site: Site, scope: str | None, status: int) -> None:
    assert report(site, executing(site), {"status": "failed"}, scope).status == status


def test_without_postgresql_the_receiver_is_asked_to_come_again(servers: EmbeddedServers, site: Site) -> None:
    execution = executing(site)
    with without_postgres(servers, site):
        answer = report(site, execution, {"status": "failed"})
    assert (answer.status, "retry-after" in answer.headers) == (503, True)


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"status": "failed", "detail": {"a": "\u0000"}}',
        rb'{"status": "failed", "detail": {"a": "\ud800"}}',
        rb'{"status": "failed", "detail": {"a": 1e400}}',
        b'{"status": "failed", "detail": {"a": ' + b"9" * 400 + b"}}",
        b'{"status": "failed", "detail": {"a": ' + b"[" * 2000 + b"]" * 2000 + b"}}",
    ],
)
def test_a_detail_that_cannot_be_stored_is_refused_and_loses_nothing(site: Site, raw: bytes) -> None:
    execution = executing(site)
    answer = report(site, execution, raw)
    assert answer.status in {400, 422}, answer.raw
    assert report(site, execution, {"status": "failed"}).status == 200
