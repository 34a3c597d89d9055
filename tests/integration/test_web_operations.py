"""Health, figures, and what operators see and do."""

import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from web_kit import LOOPBACK, PREFIX, Site, all_listeners, call, failure, listening, open_site, without_postgres

from m10actors import metrics
from m10actors.embedded import EmbeddedServers
from m10actors.recovery.pauses import Part
from m10actors.web.apps import api_app
from m10actors.web.server import Listener


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("web")
    with (
        open_site(servers.start(), "web_operations") as site,
        listening(site, *all_listeners(site.services, folder)),
    ):
        yield site


def ops(site: Site, method: str, path: str, body: object = None) -> object:
    answer = call(site.addresses["ops"], method, path, body)
    assert answer.status in {200, 202}, answer.raw
    return answer.json


def test_it_is_alive_and_ready_without_a_token(site: Site) -> None:
    assert site.api("GET", "/healthz").json == {"status": "alive"}
    answer = site.api("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready", "reasons": [], "paused": []})


def test_without_redis_it_is_ready_and_says_degraded(site: Site) -> None:
    try:
        for _ in range(2):
            site.services.redis.observe("gone: SECRET", 1.0)
        answer = site.api("GET", "/readyz")
    finally:
        site.services.redis.observe(None, 2.0)
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert "Redis is down" in answer.json["reasons"][0]
    assert b"SECRET" not in answer.raw


def test_without_postgres_or_in_a_drain_it_is_not_ready_and_says_why(site: Site) -> None:
    try:
        for _ in range(2):
            site.services.postgres.observe("gone: SECRET", 1.0)
        site.services.draining.set()
        answer = site.api("GET", "/readyz")
    finally:
        site.services.postgres.observe(None, 2.0)
        site.services.draining.clear()
    assert (answer.status, answer.json["status"]) == (503, "not_ready")
    assert answer.json["reasons"] == ["the process is being drained", "PostgreSQL is down"]
    assert b"SECRET" not in answer.raw


def test_figures_are_exposed_without_a_token_and_without_a_store(site: Site, servers: EmbeddedServers) -> None:
    site.ingest(failure())
    with without_postgres(servers, site):
        servers.valkey.stop()
        answer = site.api("GET", "/metrics")
        servers.start()
    families = {family.name: family for family in text_string_to_metric_families(answer.raw.decode())}
    assert answer.headers["content-type"].startswith("text/plain")
    assert "recovery_ingest" in families
    states = {(s.labels["child"], s.labels["state"]) for s in families["m10_actor_state"].samples if s.value}
    assert states == {("root", "running"), ("http_endpoint", "running")}
    silent = {sample.labels["child"] for sample in families["m10_actor_last_progress_seconds"].samples}
    assert silent == {"root", "http_endpoint"}
    assert [sample.value for sample in families["m10_paused"].samples] == [0] * len(Part)
    assert families["m10_threads_abandoned"].samples[0].value == 0


def test_metrics_may_have_a_listener_of_their_own(site: Site) -> None:
    assert call(site.addresses["metrics"], "GET", "/metrics").status == 200
    assert call(site.addresses["metrics"], "GET", "/healthz").status == 404
    with listening(
        Site(site.services, site.ops_database, site.token),
        Listener("api", LOOPBACK, api_app(site.services, with_metrics=False)),
    ) as moved:
        answer = moved.api("GET", "/metrics")
    assert (answer.status, answer.json["error"]) == (404, "wrong_listener")


def test_status_tells_the_process_at_a_glance(site: Site) -> None:
    status = ops(site, "GET", "/ops/status")
    assert isinstance(status, dict)
    assert status["version"] == "1.2.3"
    assert status["worker"] == "host:1:abcdef01"
    assert status["uptime_seconds"] > 0
    assert status["draining"] is False
    assert status["dependencies"]["postgres"]["condition"] == "up"
    assert status["depths"]["outbox_pending"] == 0
    assert set(status["stream"]) == {"length", "pending", "consumers", "oldest_seconds", "dead_letters"}


def test_status_answers_while_postgres_does_not(site: Site, servers: EmbeddedServers) -> None:
    with without_postgres(servers, site):
        status = ops(site, "GET", "/ops/status")
    assert isinstance(status, dict)
    assert status["depths"] is None


def test_status_answers_soon_while_postgres_waits_for_a_lock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m10actors.web.status._LOOK_SECONDS", 0.2)
    with psycopg.connect(site.url) as holder:
        holder.execute("LOCK TABLE m10_recovery.dead_letter_archive IN ACCESS EXCLUSIVE MODE")
        status = ops(site, "GET", "/ops/status")
    assert isinstance(status, dict)
    assert (status["depths"], status["ready"]) == (None, "ready")


def test_the_tree_is_shown_from_the_root_down(site: Site) -> None:
    tree = ops(site, "GET", "/ops/tree")
    assert isinstance(tree, dict)
    assert (tree["id"], tree["type"], tree["phase"]) == ("root", "supervisor", "running")
    [child] = tree["children"]
    assert (child["id"], child["restarts"], child["children"]) == ("http_endpoint", 0, [])


def test_a_drain_is_begun(site: Site) -> None:
    before = len(site.drains)
    assert ops(site, "POST", "/ops/drain") == {"draining": True}
    assert len(site.drains) == before + 1
    assert call(site.addresses["ops"], "GET", "/ops/drain").status == 405


def test_the_socket_belongs_to_this_user_alone(site: Site) -> None:
    path = Path(site.addresses["ops"].removeprefix("unix:"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ops/status"),
        ("GET", "/ops/tree"),
        ("POST", "/ops/drain"),
        ("GET", "/ops/pauses"),
        ("GET", "/ops/jobs"),
        ("POST", "/ops/jobs/run"),
    ],
)
def test_over_tcp_operations_need_a_token_of_their_scope(site: Site, method: str, path: str) -> None:
    def ask(**headers: str) -> int:
        return call(site.addresses["ops_tcp"], method, path, **headers).status

    assert ask() == 401
    assert ask(authorization=f"Bearer {site.token['recovery:approve']}") == 403
    assert ask(authorization=f"Bearer {site.token['ops']}") in {200, 202, 415}  # what a POST without its body is told
    assert ask(authorization=f"Bearer {site.token['ops']}", origin="http://evil.example") == 403
    assert ask(authorization=f"Bearer {site.token['ops']}", host="evil.example") == 421


def test_operations_on_the_api_and_the_api_on_operations_name_the_right_listener(site: Site) -> None:
    wrong = [
        site.api("GET", "/ops/status"),
        site.api("POST", "/ops/drain"),
        call(site.addresses["ops"], "POST", f"{PREFIX}/ingest", failure()),
    ]
    assert [(answer.status, answer.json["error"]) for answer in wrong] == [(404, "wrong_listener")] * 3
    assert ["OPS_LISTEN" in wrong[0].json["message"], "HTTP_LISTEN" in wrong[2].json["message"]] == [True, True]


def test_what_is_not_there_is_404_and_a_wrong_method_405_in_the_one_shape(site: Site) -> None:
    answers = [site.api("GET", "/nothing"), site.api("GET", f"{PREFIX}/ingest")]
    assert [(answer.status, answer.json["error"]) for answer in answers] == [
        (404, "not_found"),
        (405, "method_not_allowed"),
    ]
    assert answers[1].headers["allow"] == "POST"


def test_parts_are_paused_and_resumed_with_a_name_and_a_claim_beside_it(site: Site) -> None:
    paused = ops(site, "POST", "/ops/pause", {"parts": ["jobs"], "reason": "why", "for_seconds": 60, "by": "one"})
    assert isinstance(paused, dict)
    [state] = paused["paused"]
    assert (state["part"], state["by"], state["reason"]) == ("jobs", "local (claims: one)", "why")
    assert state["until"] > state["since"]
    assert ops(site, "POST", "/ops/resume", {"parts": ["jobs", "intake"]}) == {"resumed": ["jobs"]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "why"}, "parts"),
        ({"parts": [], "reason": "why"}, "parts"),
        ({"parts": ["all"], "reason": "why"}, "parts.0"),
        ({"parts": ["jobs"]}, "reason"),
        ({"parts": ["jobs"], "reason": "a\nb"}, "reason"),
        ({"parts": ["jobs"], "reason": "why", "for_seconds": 0}, "for_seconds"),
        ({"parts": ["jobs"], "reason": "why", "for_seconds": "2h"}, "for_seconds"),
        ({"parts": ["jobs"], "reason": "why", "until": "2030"}, "until"),
    ],
)
def test_a_pause_that_is_not_understood_names_the_field(site: Site, body: dict[str, object], field: str) -> None:
    answer = call(site.addresses["ops"], "POST", "/ops/pause", body)
    assert (answer.status, [problem["field"] for problem in answer.json["problems"]]) == (422, [field])


def test_verdicts_of_the_command_are_counted_and_wake_the_leader(site: Site) -> None:
    def counted(decision: str) -> float:
        return metrics.REGISTRY.get_sample_value("recovery_approvals_total", {"decision": decision}) or 0.0

    before, woken = (counted("approved"), counted("rejected")), len(site.wakes)
    path = "/ops/verdicts"
    rejected = call(site.addresses["ops"], "POST", path, {"rejected": 2})
    assert (rejected.status, rejected.json, len(site.wakes)) == (200, {"woken": False}, woken)
    approved = call(site.addresses["ops"], "POST", path, {"approved": 1, "events": ["webhook:recovery"]})
    assert (approved.json, len(site.wakes)) == ({"woken": True}, woken + 1)
    assert (counted("approved"), counted("rejected")) == (before[0] + 1, before[1] + 2)
    assert call(site.addresses["ops"], "POST", path, {"approved": -1}).status == 422
    assert call(site.addresses["ops_tcp"], "POST", path, {"approved": 1}).status == 401
