"""What cannot be sampled is absent and said to be; a scrape asks nobody, whatever is down."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cli_kit
import metrics_kit
import pipeline_kit
import redis
import web_kit
from metrics_kit import Moved, collecting, shows, value
from pipeline_kit import World
from web_kit import all_listeners, call, listening, open_site

from m10actors import metrics
from m10actors.embedded import EmbeddedServers
from m10actors.metrics import SAMPLED, Store
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
few_values = metrics_kit.few_values


def absent(store: Store) -> bool:
    """Whether every gauge of the store is, of those that it has."""
    return not any(family.samples for gauge in SAMPLED[store] for family in gauge.collect())


def test_figures_of_redis_are_absent_while_it_is_down_and_those_of_postgres_go_on(world: World) -> None:
    with collecting(world):
        shows("m10_store_up", lambda up: up == 1, store="redis")
        shows("recovery_stream_length", lambda length: length == 0)
        world.servers.valkey.kill()
        shows("m10_store_up", lambda up: up == 0, store="redis")
        assert absent("redis")
        moved = Moved()
        moved.wait_for("m10_last_collection_timestamp")
        world.upsert(3)
        shows("recovery_candidates_pending", lambda pending: pending == 3)
        assert value("m10_store_up", store="postgres") == 1
        world.servers.valkey.start()
        shows("recovery_stream_length", lambda length: length == 0)
        shows("m10_store_up", lambda up: up == 1, store="redis")


def test_figures_of_postgres_are_absent_while_it_is_down_and_those_of_redis_go_on(world: World) -> None:
    with collecting(world, database__checkout_timeout="100ms"):
        shows("recovery_candidates_pending", lambda pending: pending == 0)
        world.servers.postgres.stop("immediate")
        shows("m10_store_up", lambda up: up == 0, store="postgres")
        assert absent("postgres")
        world.raw.xadd(pipeline_kit.NAMES.stream, {"candidate_id": 1})
        shows("recovery_stream_length", lambda length: length == 1)
        world.servers.postgres.start()
        shows("recovery_candidates_pending", lambda pending: pending == 0)


def test_while_no_store_answers_the_time_of_the_last_sample_stands_still(world: World) -> None:
    with collecting(world, database__checkout_timeout="50ms"):
        shows("m10_store_up", lambda up: up == 1, store="redis")
        world.servers.valkey.kill()
        world.servers.postgres.stop("immediate")
        for store in ("postgres", "redis"):
            shows("m10_store_up", lambda up: up == 0, store=store)
        last = value("m10_last_collection_timestamp")
        missed = Moved()
        metrics.STORE_SAMPLED.labels("redis").set(1)  # the next sample takes it back
        eventually(lambda: missed.by("m10_store_up", store="redis") == 0)
        assert value("m10_last_collection_timestamp") == last
        world.servers.start()


def test_a_role_without_rights_is_a_store_that_is_not_sampled(world: World) -> None:
    with collecting(world, database__metrics_url=world.database.url("app")):
        shows("m10_store_up", lambda up: up == 0, store="postgres")
        shows("m10_store_up", lambda up: up == 1, store="redis")
        assert absent("postgres")


def test_a_scrape_asks_neither_store(servers: EmbeddedServers, tmp_path: Path) -> None:
    """By the account of the servers: no statement, no command, no connection."""

    def asked() -> list[object]:
        query = "SELECT pid, query_start FROM pg_stat_activity WHERE starts_with(usename::text, 'm10') ORDER BY pid"
        return [site.sql(query), total_commands()]

    def total_commands() -> int:
        """Apart from ours."""
        statistics: Any = observer.info("commandstats")
        return sum(each["calls"] for name, each in statistics.items() if name != "cmdstat_info")

    addresses = servers.start()
    with (
        open_site(addresses, "web_scrape") as site,
        listening(site, *all_listeners(site.services, tmp_path)),
        redis.Redis.from_url(addresses.redis_url) as observer,
    ):
        site.ingest(web_kit.failure())
        before = asked()
        for listener in ("api", "metrics"):
            answer = call(site.addresses[listener], "GET", "/metrics")
            assert (answer.status, b"recovery_ingest_total" in answer.raw) == (200, True)
        assert asked() == before


@dataclass(frozen=True)
class Measured(cli_kit.M10):
    """The command with its metrics at an address of their own."""

    address: str

    def environ(self, **more: str) -> dict[str, str]:
        return super().environ(M10_METRICS_LISTEN=self.address, **more)


def test_a_process_serves_its_metrics_at_an_address_of_their_own(
    tmp_path: Path, database: MigratedDatabase, redis_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with cli_kit.running(Measured(tmp_path, address), database, redis_url, tmp_path / "run") as found:
        assert call(found.api.removeprefix("http://"), "GET", "/metrics").status == 404
        eventually(lambda: 'm10_store_up{store="postgres"} 1.0' in call(address, "GET", "/metrics").raw.decode())
