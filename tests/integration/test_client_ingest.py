"""`ingest` and `ingest_many`, blocking and for an event loop, over HTTP and straight into PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from web_kit import LOOPBACK, Site, listening, open_site, without_postgres

from m10actors.client import (
    AsyncRecoveryClient,
    NotPermitted,
    RecoveryClient,
    Refused,
    Rejected,
    Stored,
    Unavailable,
    WrongAddress,
)
from m10actors.embedded import EmbeddedServers
from m10actors.testing.proxy import FaultProxy
from m10actors.web.apps import api_app, metrics_app
from m10actors.web.server import Listener

SCOPE = "recovery:write"
Make = Callable[..., RecoveryClient]


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "client_ingest") as site,
        listening(
            site,
            Listener("api", LOOPBACK, api_app(site.services)),
            Listener("metrics", LOOPBACK, metrics_app(site.services)),
        ),
    ):
        yield site


@pytest.fixture(params=["http", "postgresql"])
def make(request: pytest.FixtureRequest, site: Site, servers: EmbeddedServers) -> Make:
    """Makes a client of either way in, without a spool."""
    if request.param == "http":
        return lambda **options: RecoveryClient(
            f"http://{site.addresses['api']}", site.token[SCOPE], spool=None, **options
        )
    url = servers.start().postgres_url("m10_app", "client_ingest")
    return lambda **options: RecoveryClient(url, spool=None, **options)


def test_a_failure_opens_a_candidate_and_its_repeat_folds_into_it(make: Make, site: Site) -> None:
    with make(source=f"shop-{uuid4()}") as client:
        first = client.ingest(error_type="TIMEOUT", raw="no answer within 30 s")
        second = client.ingest({"error_type": "TIMEOUT", "raw": "no answer within 31 s"})
    assert (first.status, first.occurrence_count, first.counted) == ("accepted", 1, True)
    assert (second.status, second.occurrence_count, second.counted) == ("duplicate", 2, True)
    assert second.candidate_id == first.candidate_id
    assert site.counts(first.candidate_id) == 2


def test_a_key_counts_once(make: Make) -> None:
    with make() as client:
        key = uuid4()
        assert client.ingest(raw="one", idempotency_key=key).counted
        assert not client.ingest(raw="one", idempotency_key=key).counted


def test_many_have_an_outcome_each_and_what_is_refused_spoils_only_itself(make: Make) -> None:
    with make(source=f"shop-{uuid4()}") as client:
        failures: list[dict[str, object]] = [{"error_type": "A", "raw": f"{n:x}"} for n in range(1_050)]
        failures[500] = {"raw": "a\0b"}
        outcomes = client.ingest_many(failures)
    assert [isinstance(outcome, Stored) for outcome in outcomes] == [n != 500 for n in range(1_050)]
    refused = outcomes[500]
    assert isinstance(refused, Rejected)
    assert [str(problem) for problem in refused.problems] == ["invalid_text: raw contains NUL at byte 1"]


def test_nothing_is_stored_for_nothing(make: Make) -> None:
    with make() as client:
        assert client.ingest_many([]) == []


def test_odd_text_comes_back_as_it_was(make: Make, site: Site) -> None:
    text = "'; DROP TABLE x; --\n\x1b[31m %s {} 💥 \x85"
    with make(source=f"shop-{uuid4()}") as client:
        stored = client.ingest(error_type="A", raw=text)
    query = "SELECT error_message FROM recovery_candidates WHERE id = %s"
    assert site.sql(query, [stored.candidate_id]) == [(text,)]


def test_a_server_that_is_away_is_tried_again_and_then_reported(
    make: Make, site: Site, servers: EmbeddedServers
) -> None:
    with without_postgres(servers, site), make(retry_for=0.5, timeout=1.0) as client:
        with pytest.raises(Unavailable) as away:
            client.ingest(raw="x")
        [unsent] = away.value.unsent
    with make(retry_for=30.0) as client:
        [stored] = client.ingest_many([unsent])
        assert isinstance(stored, Stored)
        assert stored.counted


def test_what_was_lost_on_the_way_is_sent_again_under_the_same_key(site: Site) -> None:
    host, _, port = site.addresses["api"].rpartition(":")
    with FaultProxy((host, int(port))) as proxy:
        proxy.swallow_replies()
        url = "http://{}:{}".format(*proxy.address)  # type: ignore[misc]
        client = RecoveryClient(url, site.token[SCOPE], spool=None, source=f"shop-{uuid4()}", retry_for=0.0)
        with pytest.raises(Unavailable) as lost:
            client.ingest(raw="once")
        proxy.clean()
        [again] = client.ingest_many(lost.value.unsent)
        assert isinstance(again, Stored)
        assert (again.counted, site.counts(again.candidate_id)) == (False, 1)
        client.close()


def test_a_wrong_token_a_wrong_scope_and_a_wrong_address_are_told_apart(site: Site) -> None:
    url = f"http://{site.addresses['api']}"
    for token in ("m10_wrong", None, site.token["recovery:read"]):
        with RecoveryClient(url, token, spool=None) as client, pytest.raises(NotPermitted, match=r"answers 40[13]"):
            client.ingest(raw="x")
    elsewhere = f"http://{site.addresses['metrics']}"
    with RecoveryClient(elsewhere, site.token[SCOPE], spool=None) as client, pytest.raises(WrongAddress):
        client.ingest(raw="x")


def test_a_role_that_may_not_ingest_is_told_so(site: Site, servers: EmbeddedServers) -> None:
    url = servers.start().postgres_url("m10_metrics", "client_ingest")
    with RecoveryClient(url, spool=None) as client, pytest.raises(NotPermitted):
        client.ingest(raw="x")


def test_a_database_that_is_away_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with RecoveryClient("postgresql://m10_app@127.0.0.1:9/m10", spool=None, retry_for=0.0, timeout=0.5) as client:
        with pytest.raises(Unavailable):
            client.ingest(raw="x")
        assert caplog.records == []


def test_a_database_address_that_cannot_be_read_is_told_so_without_its_password() -> None:
    url = "postgresql://m10_app:s3cret@host/db?nonsense=1"
    with RecoveryClient(url, spool=None) as client, pytest.raises(WrongAddress) as wrong:
        client.ingest(raw="x")
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize("way", ["http", "postgresql"])
def test_an_event_loop_reports_without_being_blocked(
    way: str, site: Site, servers: EmbeddedServers, tmp_path: Path
) -> None:
    database = servers.start().postgres_url("m10_app", "client_ingest")
    url, token = (f"http://{site.addresses['api']}", site.token[SCOPE]) if way == "http" else (database, None)

    async def report() -> None:
        async with AsyncRecoveryClient(url, token, source=f"shop-{uuid4()}", spool=tmp_path) as client:
            stored = await asyncio.gather(*(client.ingest(error_type="A", raw="x") for _ in range(20)))
            assert sorted(one.occurrence_count for one in stored) == list(range(1, 21))
            outcomes = await client.ingest_many([{"raw": "x"}, {"raw": ""}])
            assert [outcome.status for outcome in outcomes] == ["accepted", "rejected"]
            with pytest.raises(Refused):
                await client.ingest({"raw": float("nan")})

            @client.captures
            async def fail() -> None:
                raise TimeoutError("late")

            with pytest.raises(TimeoutError, match="late"):
                await fail()
            assert await client.flush()
            assert (client.stats.captured, client.stats.sent) == (1, 1)

    asyncio.run(report())
