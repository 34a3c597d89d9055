"""Who is let in: tokens, scopes, hosts, origins."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from web_kit import LOOPBACK, PREFIX, Site, converse, failure, listening, open_site, without_postgres

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import tokens
from m10actors.web import access
from m10actors.web.apps import api_app
from m10actors.web.server import Listener

ANSWERED = "localhost LOCALHOST:1 127.0.0.1:80 127.9.9.9 [::1]:8710 m10.example M10.example:99 other.example:8443"
REFUSED = "evil.example 10.0.0.1:80 localhost.evil.example evil@localhost other.example localhost:x"
INGEST = f"{PREFIX}/ingest"


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_access", allowed_hosts=("m10.example", "Other.example:8443")) as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


@pytest.mark.parametrize(
    "authorization", ["", "Basic eDp5", "Bearer", "Bearer ", "bearer nobody", "Bearer " + "x" * 5000]
)
def test_without_a_known_token_it_is_401_and_says_how(site: Site, authorization: str) -> None:
    answer = site.api("POST", INGEST, failure(), authorization=authorization)
    assert (answer.status, answer.json["error"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="m10"')


@pytest.mark.parametrize("path", ["ingest", "ingest/batch", "approve", "evaluate"])
def test_every_path_of_the_api_needs_a_token(site: Site, path: str) -> None:
    assert site.api("POST", f"{PREFIX}/{path}", failure()).status == 401


@pytest.mark.parametrize("path", ["candidates", "candidates/1", "stats", "actions"])
def test_every_path_that_is_read_needs_a_token_too(site: Site, path: str) -> None:
    assert site.api("GET", f"{PREFIX}/{path}").status == 401
    assert site.api("GET", f"{PREFIX}/{path}", None, "recovery:write").status == 403


@pytest.mark.parametrize(
    ("path", "scope", "needed"),
    [
        ("ingest", "recovery:read", "recovery:write"),
        ("ingest/batch", "ops", "recovery:write"),
        ("approve", "recovery:write", "recovery:approve"),
    ],
)
def test_another_scope_is_403_and_names_the_one_that_is_missing(site: Site, path: str, scope: str, needed: str) -> None:
    answer = site.api("POST", f"{PREFIX}/{path}", failure(), scope)
    assert (answer.status, answer.json["error"]) == (403, "scope_missing")
    assert needed in answer.json["message"]
    assert f'scope="{needed}"' in answer.headers["www-authenticate"]


def test_a_stranger_is_refused_before_the_body_is_read(site: Site) -> None:
    head = f"POST {INGEST} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
    assert b" 401 " in converse(site.addresses["api"], f"{head}content-length: 999\r\n\r\n".encode())[:20]


def test_a_revoked_token_is_refused_once_it_is_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"short-lived {uuid.uuid4()}"
    bearer = f"Bearer {tokens.create(site.ops_database, name, ['recovery:write'])}"
    monkeypatch.setattr(access, "REMEMBERED_SECONDS", 0.0)
    assert site.api("POST", INGEST, failure(), authorization=bearer).status in {200, 202}
    assert tokens.revoke(site.ops_database, name)
    assert site.api("POST", INGEST, failure(), authorization=bearer).status == 401


def test_a_remembered_token_costs_no_query(site: Site) -> None:
    site.ingest(failure())
    site.sql("ALTER FUNCTION m10_recovery.find_token(bytea) RENAME TO hidden_for_a_moment")
    try:
        assert site.ingest(failure()).status in {200, 202}
    finally:
        site.sql("ALTER FUNCTION m10_recovery.hidden_for_a_moment(bytea) RENAME TO find_token")


def test_a_token_that_cannot_be_looked_up_is_503_not_401(site: Site, servers: EmbeddedServers) -> None:
    with without_postgres(servers, site):
        answer = site.api("POST", INGEST, failure(), authorization=f"Bearer new-{uuid.uuid4()}")
    assert (answer.status, answer.json["error"]) == (503, "unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("host", ANSWERED.split())
def test_names_of_loopback_and_allowed_ones_are_answered(site: Site, host: str) -> None:
    assert site.api("GET", "/healthz", host=host).status == 200


@pytest.mark.parametrize("host", REFUSED.split())
def test_other_hosts_are_421(site: Site, host: str) -> None:
    answer = site.api("GET", "/metrics", host=host)
    assert (answer.status, answer.json["error"]) == (421, "host_not_allowed")
    assert host not in answer.json["message"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"]
)
def test_a_foreign_origin_is_403(site: Site, origin: str) -> None:
    answer = site.api("GET", "/healthz", host="localhost", origin=origin)
    assert (answer.status, answer.json["error"]) == (403, "origin_not_allowed")


def test_the_own_origin_is_answered(site: Site) -> None:
    assert site.api("GET", "/healthz", host="localhost:8710", origin="http://LOCALHOST:8710").status == 200


def test_a_request_without_a_host_is_refused(site: Site) -> None:
    assert b" 421 " in converse(site.addresses["api"], b"GET /healthz HTTP/1.0\r\n\r\n")[:20]
    assert b" 400 " in converse(site.addresses["api"], b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")[:20]


def test_a_token_that_asks_too_often_is_429_with_a_time_to_come_again(site: Site) -> None:
    with limited(site, token_rate=0.01, token_burst=3) as tight:
        answers = [tight.api("POST", INGEST, failure(), "recovery:write") for _ in range(5)]
        other = tight.api("GET", f"{PREFIX}/stats", None, "recovery:read")
        anonymous = [tight.api("GET", path) for path in ("/healthz", "/metrics") for _ in range(5)]
    assert [answer.status // 100 for answer in answers] == [2, 2, 2, 4, 4]
    assert (answers[-1].status, answers[-1].json["error"]) == (429, "rate_limited")
    assert int(answers[-1].headers["retry-after"]) >= 90
    assert {other.status, *(answer.status for answer in anonymous)} == {200}


def test_strangers_cost_a_bounded_number_of_queries_and_known_tokens_are_let_in_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "UNKNOWN_RATE", 0.001)
    monkeypatch.setattr(access, "UNKNOWN_BURST", 4)
    monkeypatch.setattr(access, "REMEMBERED_SECONDS", 0.0)
    looked_up = []
    find = tokens.find
    monkeypatch.setattr(tokens, "find", lambda database, text: looked_up.append(text) or find(database, text))
    with limited(site) as tight:
        assert tight.ingest(failure()).status in {200, 202}
        answers = [tight.api("POST", INGEST, failure(), authorization=f"Bearer {n}") for n in range(10)]
        assert tight.ingest(failure()).status == 200
        fresh = tight.api("GET", f"{PREFIX}/stats", None, "recovery:read")
    assert [answer.status for answer in answers] == [401] * 4 + [429] * 6
    assert (answers[-1].json["error"], fresh.status) == ("too_many_unknown", 429)
    assert len(looked_up) == 6


@contextmanager
def limited(site: Site, **limits: float) -> Iterator[Site]:
    """Another endpoint on the same services, with other limits and a door of its own."""
    services = replace(site.services, limits=replace(site.services.limits, **limits))
    other = Site(services, site.ops_database, site.token, url=site.url)
    with listening(other, Listener("api", LOOPBACK, api_app(services))):
        yield other
