"""The stream queue where little is allowed: a user with the least rights, and a cluster."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from streams_kit import AT_ONCE, NAMES, NOON, OPERATIONS, Sides, as_user, least_rights, sides_of

from m10actors.streams import (
    Cause,
    DeadLetter,
    RedisMisconfigured,
    RedisRightMissing,
    RedisUnavailable,
    acl_rules,
    checkup,
    unknown_commands,
)
from m10actors.streams.rights import NEEDED, NEEDED_TOGETHER, OPTIONAL, check_rights, commands
from m10actors.testing.clusters import cluster
from m10actors.testing.servers import HOST, RedisServer, free_port
from m10actors.testing.waiting import eventually

Guest = Callable[..., str]


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.acl_deluser("guest")


@pytest.fixture
def as_guest(raw: Any, redis_url: str) -> Guest:
    """Makes a user with the least rights, but for some; the URL for him, in a database of its own."""

    def url(*without: str) -> str:
        rules = least_rights(redis_url, *without)
        raw.execute_command("ACL", "SETUSER", "guest", "reset", ">right", *rules)
        return as_user(redis_url, "guest:right").replace("db=0", "db=1")

    return url


def used(raw: Any) -> set[str]:
    """The commands that the server was sent since its figures were reset."""
    return {name.removeprefix("cmdstat_") for name in raw.info("commandstats")}


def test_the_least_rights_are_enough_for_every_operation_and_each_is_used_by_one(
    as_guest: Guest, raw: Any, redis_url: str
) -> None:
    url = as_guest()
    with sides_of(redis_url) as sides:
        unknown = unknown_commands(sides.client, NAMES)
    raw.acl_log_reset()
    raw.config_resetstat()
    with sides_of(url) as sides:
        sides.queue.ensure_group()
        for name, operation in OPERATIONS.items():
            if name != "probe":  # it tries them all
                operation(sides)
        sides.queue.finish([entry.entry_id for entry in sides.queue.read_own_pending((), 10)])
        eventually(lambda: sides.monitor.remove_idle_consumers(AT_ONCE))
        sides.queue.wake()
        sides.monitor.history()
        assert used(raw) >= set(commands()) - {*unknown, "incr"}
        assert sides.monitor.probe() > 0
    assert raw.acl_log() == []


def test_what_is_optional_is_missed_by_nobody_who_works(as_guest: Guest) -> None:
    with sides_of(as_guest(*(right.command for right in OPTIONAL))) as sides:
        sides.queue.ensure_group()
        sides.add(1)
        assert len(sides.queue.read(1, AT_ONCE)) == 1
        sides.queue.wake()
        assert sides.monitor.probe() > 0
        assert sides.monitor.history() == ""
        [found] = checkup(sides.client)
        assert (found.check, found.fits) == ("INFO", None)


@pytest.mark.parametrize("command", [*(right.command for right in NEEDED), *NEEDED_TOGETHER])
def test_each_right_that_is_missing_is_named(as_guest: Guest, command: str) -> None:
    with sides_of(as_guest(command)) as sides:
        for _ in range(2):
            with pytest.raises(RedisRightMissing, match=rf"may not (.*, )?(multi and exec|{re.escape(command)})\b"):
                sides.monitor.probe()
        as_guest()
        assert sides.monitor.probe() > 0


def test_a_right_on_one_key_that_is_missing_is_named_with_the_key(as_guest: Guest, raw: Any, redis_url: str) -> None:
    with sides_of(as_guest()) as sides:
        assert sides.monitor.probe() > 0
        rules = [rule for rule in least_rights(redis_url) if rule != f"~{NAMES.dead_letter}"]
        raw.execute_command("ACL", "SETUSER", "guest", "reset", ">right", *rules)
        with pytest.raises(RedisMisconfigured):
            sides.dead_letters.page(1)
        with pytest.raises(RedisRightMissing, match=f"xadd on {NAMES.dead_letter} .*, xlen on {NAMES.dead_letter} "):
            sides.monitor.probe()


def test_looking_at_the_rights_changes_nothing(raw: Any, redis_url: str) -> None:
    with sides_of(redis_url) as sides:
        sides.queue.ensure_group()
        sides.add(1, 2)
        sides.queue.read(1, AT_ONCE)
        sides.monitor.incarnation()
        before = {key: raw.dump(key) for key in raw.scan_iter()}
        check_rights(sides.client, NAMES)
        assert unknown_commands(sides.client, NAMES) <= {"xackdel", "client|setinfo"}
        raw.delete(NAMES.probes)
        assert {key: raw.dump(key) for key in raw.scan_iter()} == before


def test_what_the_queue_cannot_do_without_is_as_old_as_the_oldest_server_that_we_take(redis_url: str) -> None:
    """T42: what came after 6.2 is looked for before it is used, or not used."""
    with sides_of(redis_url) as sides:
        for command in [*(right.command for right in NEEDED), *NEEDED_TOGETHER]:
            _, docs = sides.client.call("COMMAND", "DOCS", command)
            since = docs[docs.index(b"since") + 1].decode()
            assert tuple(map(int, since.split("."))) <= (6, 2, 0), f"{command}: {since}"


@pytest.mark.parametrize(
    "command",
    [("FLUSHALL",), ("KEYS", "*"), ("EVAL", "return 1", 0), ("CONFIG", "GET", "*"), ("GET", "other"), ("ACL", "LIST")],
    ids=lambda command: command[0],
)
def test_the_least_rights_reach_nothing_else(as_guest: Guest, command: tuple[str | int, ...]) -> None:
    with sides_of(as_guest()) as sides, pytest.raises(RedisMisconfigured):
        sides.client.call(*command)


def test_a_key_with_signs_of_a_pattern_opens_no_other_key() -> None:
    assert "~m10:\\*" in acl_rules(type(NAMES)(stream="m10:*"))


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found.url


def dead_letter(sides: Sides) -> None:
    sides.queue.dead_letter(DeadLetter("uuid", "1:1", "poison", NOON), {}, b"1-0")


@pytest.mark.one_node_cluster
def test_in_a_cluster_every_operation_works_on_names_with_a_shared_tag(cluster_url: str) -> None:
    """T38."""
    with sides_of(cluster_url, names=NAMES.tagged("m10")) as sides:
        sides.queue.ensure_group()
        for operation in OPERATIONS.values():
            operation(sides)


@pytest.mark.one_node_cluster
def test_in_a_cluster_names_without_a_tag_are_a_matter_of_configuration(cluster_url: str) -> None:
    """T38."""
    with sides_of(cluster_url) as sides, pytest.raises(RedisMisconfigured, match="slot"):
        dead_letter(sides)


@pytest.mark.one_node_cluster
def test_a_cluster_in_which_nobody_is_in_charge_of_the_stream_is_an_outage(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "node", "--cluster-enabled", "yes", "--cluster-port", free_port()) as node,
        sides_of(f"redis+cluster://{HOST}:{node.port}") as sides,
        pytest.raises(RedisUnavailable) as caught,
    ):
        sides.monitor.probe()
    assert caught.value.cause is Cause.CLUSTERDOWN
