"""What a server offers is found out by trying, and what lies there says whether it is still the same data."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from streams_kit import AT_ONCE, NAMES, as_user, sides_of

from m10actors.actors.monitors import IncarnationProbe
from m10actors.recovery.dependency import Dependency
from m10actors.streams import RedisMisconfigured, StreamsError
from m10actors.testing.servers import RedisServer
from m10actors.testing.waiting import eventually

MANY = 100_000
FILL = "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'candidate_id', n, 'message_id', n .. ':1') end"


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.acl_deluser("guest")


def as_guest(raw: Any, url: str, *rules: str) -> str:
    raw.execute_command("ACL", "SETUSER", "guest", "on", ">right", "~*", "+@all", *rules)
    return as_user(url, "guest:right")


def calls(raw: Any, command: str) -> int:
    return int(raw.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def test_a_command_is_tried_once_for_each_connection_and_not_taken_for_known(raw: Any, redis_url: str) -> None:
    raw.config_resetstat()
    with sides_of(redis_url, connections=1) as sides:
        assert not any(sides.client.offers("XNOSUCH", "key") for _ in range(3))
        assert all(sides.client.offers("TIME") for _ in range(3))
        assert calls(raw, "time") == 1
        raw.client_kill_filter(_type="normal", skipme=True)
        sides.client.call("PING")  # it connects again: perhaps to another server
        assert sides.client.offers("TIME")
        assert calls(raw, "time") == 2


def test_a_command_that_we_may_not_use_is_not_offered(raw: Any, redis_url: str) -> None:
    with sides_of(as_guest(raw, redis_url, "-time")) as sides:
        assert not sides.client.offers("TIME")


def test_memory_is_back_where_it_was_after_a_hundred_thousand_entries(raw: Any, redis_url: str) -> None:
    """T25: what is finished is deleted, not only acknowledged."""
    with sides_of(redis_url) as sides:
        sides.queue.ensure_group()
        sides.add(1)
        sides.queue.finish([entry.entry_id for entry in sides.queue.read(1, AT_ONCE)])
        before = raw.info("memory")["used_memory"]
        raw.eval(FILL, 1, NAMES.stream, MANY)
        full = raw.info("memory")["used_memory"]
        while read := sides.queue.read(1000, AT_ONCE):
            sides.queue.finish([entry.entry_id for entry in read])
        assert raw.xlen(NAMES.stream) == 0
        assert full - before > 20 * MANY  # bytes
        eventually(lambda: raw.info("memory")["used_memory"] - before < (full - before) / 10)


def test_what_is_finished_goes_in_one_command_where_the_server_has_it(raw: Any, redis_url: str) -> None:
    with sides_of(redis_url) as sides:
        one_command = sides.client.offers("XACKDEL", NAMES.stream, NAMES.group, "IDS", 1, "0-0")
        before = {command: calls(raw, command) for command in ("xackdel", "xack")}
        sides.queue.finish([b"1-0"])
        sent = {command for command, count in before.items() if calls(raw, command) > count}
    assert sent == ({"xackdel"} if one_command else {"xack"})


@pytest.fixture
def watched(redis_url: str) -> Iterator[tuple[Callable[[], None], Dependency]]:
    """A probe, and the dependency that it tells."""
    with sides_of(redis_url) as sides:
        dependency = Dependency("redis")
        yield IncarnationProbe(sides.monitor, dependency), dependency


def test_data_restored_from_an_older_copy_is_known_by_the_probes_that_it_lacks(
    raw: Any, watched: tuple[Callable[[], None], Dependency]
) -> None:
    """It is the same data otherwise, so that the incarnation says nothing."""
    probe, dependency = watched
    for _ in range(3):
        probe()
    copy = {key: raw.dump(key) for key in raw.scan_iter()}
    for _ in range(2):
        probe()
    assert dependency.losses == 0
    for key, value in copy.items():
        raw.restore(key, 0, value, replace=True)
    probe()
    assert dependency.losses == 1
    probe()
    assert dependency.losses == 1


def test_probes_of_other_processes_are_no_loss(redis_url: str, watched: tuple[Callable[[], None], Dependency]) -> None:
    probe, dependency = watched
    with sides_of(redis_url) as other:
        for _ in range(3):
            probe()
            other.monitor.probe()
    assert dependency.losses == 0


def test_another_replication_history_means_that_what_was_added_last_may_be_lost(tmp_path: Path) -> None:
    """T12: the data looks the same, and every probe is counted."""
    with RedisServer(tmp_path / "server", "--enable-debug-command", "local") as server, sides_of(server.url) as sides:
        dependency = Dependency("redis")
        probe = IncarnationProbe(sides.monitor, dependency)
        for _ in range(2):
            probe()
        with server.client() as raw:
            raw.execute_command("DEBUG", "CHANGE-REPL-ID")
        assert dependency.losses == 0
        for _ in range(2):
            probe()
        assert dependency.losses == 1


def test_a_server_that_lets_us_in_no_more_is_said_once_and_again_after_it_did(
    raw: Any, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T36: an outage would be waited for."""
    caplog.set_level(logging.ERROR)
    url = as_guest(raw, redis_url)
    with sides_of(url) as sides:
        probe = IncarnationProbe(sides.monitor, Dependency("redis"))
        for said in (1, 2):
            as_guest(raw, redis_url)
            probe()
            raw.acl_deluser("guest")  # which ends its connections
            with suppress(StreamsError):
                probe()  # over a network it may be sent before the end is heard of: an outage, this once
            for _ in range(3):
                with pytest.raises(RedisMisconfigured):
                    probe()
            assert [record.message for record in caplog.records].count("redis_refuses_us") == said
