"""A primary that Sentinels watch: failovers under load, of servers that die, freeze, or lag behind."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pipeline_kit
import pytest
from pipeline_kit import NAMES, Engine, World, feed, running
from traps_kit import EAGER, SWEPT, healthy

from m10actors.recovery.dependency import Condition
from m10actors.streams import Cause, RedisClient, RedisMisconfigured, RedisUnavailable
from m10actors.testing.sentinels import SentinelSet, sentinels
from m10actors.testing.servers import HOST, RedisServer, free_port
from m10actors.testing.waiting import eventually

pytestmark = [pytest.mark.redis, pytest.mark.sentinel]
world = pipeline_kit.world
COUNT = 40
ClientOf = Callable[[str], RedisClient]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    with sentinels(tmp_path_factory.mktemp("sentinels")) as found:
        yield found


def is_up(engine: Engine) -> bool:
    return engine.parts.redis.health.condition is Condition.UP


def reads_from(server: RedisServer) -> bool:
    """Whether some engine waits for entries there, in the group."""
    with server.client() as client:
        return any(each["cmd"] == "xreadgroup" for each in client.client_list())


def replicates(server: RedisServer) -> bool:
    with server.client() as client:
        found = client.info("replication")
    return bool(found["role"] == "slave" and found.get("master_link_status") == "up")


def test_failovers_under_load_lose_nothing_and_the_stream_is_used_again(
    world: World, watched: SentinelSet, caplog: pytest.LogCaptureFixture
) -> None:
    """T12: the first replica that is promoted has neither stream nor group; the second primary comes back from a freeze
    and has our connections still.
    """
    caplog.set_level(logging.INFO, "m10actors")
    first = watched.primary()
    [second] = [server for server in watched.servers if server is not first]
    with running(world, **EAGER, **SWEPT, redis__url=watched.url) as engine:
        second.freeze()  # it gets nothing of what follows
        feeder = feed(engine, COUNT)
        eventually(lambda: world.stores().evaluated > COUNT // 4)
        first.kill()
        second.thaw()
        feeder.join(30)
        eventually(lambda: watched.primary() is second, within=20)
        eventually(lambda: is_up(engine) and reads_from(second))
        world.sound(COUNT)
        assert "consumer_group_created" in caplog.messages
        assert "redis_changed_hands" in caplog.messages or "redis_lost_its_data" in caplog.messages

        first.start("--replicaof", f"{HOST} {second.port}")  # sooner than the Sentinels would have it
        eventually(lambda: replicates(first), within=30)
        second.freeze()
        eventually(lambda: watched.primary() is first, within=20)
        engine.ingest(range(COUNT, 2 * COUNT))
        world.sound(2 * COUNT)
        second.thaw()  # for a while it takes itself for the primary
        eventually(lambda: is_up(engine) and reads_from(first))
        with first.client() as client:
            added = client.xinfo_stream(NAMES.stream)["entries-added"]
            engine.ingest(range(2 * COUNT, 3 * COUNT))
            assert client.xinfo_stream(NAMES.stream)["entries-added"] > added
        healthy(engine, 3 * COUNT)


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    opened: list[RedisClient] = []

    def of(url: str) -> RedisClient:
        opened.append(RedisClient(url, timeout=timedelta(seconds=2)))
        return opened[-1]

    yield of
    for client in opened:
        client.close()


def test_a_sentinel_in_a_black_hole_or_away_leaves_time_for_the_others(
    watched: SentinelSet, client_of: ClientOf
) -> None:
    hosts = watched.url.partition("//")[2]
    watched.sentinels[0].freeze()
    try:
        client = client_of(f"redis+sentinel://127.0.0.1:{free_port()},{hosts}")
        assert client.call("PING") == b"PONG"
    finally:
        watched.sentinels[0].thaw()


def test_a_name_that_no_sentinel_knows_is_a_matter_of_configuration(watched: SentinelSet, client_of: ClientOf) -> None:
    client = client_of(watched.url.replace("/m10/0", "/another"))
    with pytest.raises(RedisMisconfigured, match="watches a primary named another"):
        client.call("PING")


def test_no_sentinel_that_answers_is_an_outage(client_of: ClientOf) -> None:
    with pytest.raises(RedisUnavailable, match="none of 2 Sentinels answers") as caught:
        client_of(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/m10").call("PING")
    assert caught.value.cause is Cause.CONNECTION


def test_the_sentinels_have_credentials_of_their_own(watched: SentinelSet, client_of: ClientOf) -> None:
    sentinel = watched.sentinels[2]
    alone = f"redis+sentinel://127.0.0.1:{sentinel.port}/m10"
    with sentinel.client() as admin:
        admin.execute_command("ACL", "SETUSER", "looker", "on", ">of:its@own", "-@all", "+sentinel")
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
    try:
        client = client_of(f"{alone}?sentinel_username=looker&sentinel_password=of%3Aits%40own")
        assert client.call("PING") == b"PONG"
        with pytest.raises(RedisMisconfigured, match="a Sentinel does not let us in"):
            client_of(alone).call("PING")
    finally:
        with sentinel.client(password="another") as admin:
            admin.execute_command("ACL", "SETUSER", "default", "nopass")
