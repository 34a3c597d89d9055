"""`m10 doctor`, on real stores."""

from pathlib import Path

import pytest
import redis
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab
from streams_kit import as_user

from m10actors.embedded import EmbeddedServers
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.servers import RedisServer


@pytest.fixture
def doctor(database: MigratedDatabase, m10: Command) -> Command:  # noqa: F811
    m10.always["M10_OPS_DATABASE_URL"] = database.url("ops")
    return m10


def test_it_raises_the_epochs_and_says_so(doctor: Command, database: MigratedDatabase) -> None:
    epoch = Lab(database).lead()
    done = doctor("doctor", "--bump-epochs", "--json")
    assert done.code == 0
    [bumped] = done.json
    assert (bumped["lock"], bumped["before"]) == ("m10:outbox_processor", epoch)
    [[lock, before, after]] = doctor("doctor", "--bump-epochs").rows
    assert (lock, before) == ("m10:outbox_processor", str(bumped["epoch"]))
    assert int(after) > bumped["epoch"]


def test_it_does_nothing_unasked(doctor: Command, database: MigratedDatabase) -> None:
    refused = doctor("doctor")
    assert refused.code == 2
    assert "--bump-epochs" in refused.err
    assert Lab(database).value("SELECT count(*) FROM m10_recovery.lock_epoch") == 0


def test_it_needs_the_operations_role(doctor: Command, database: MigratedDatabase) -> None:
    refused = doctor("doctor", "--bump-epochs", "--database", database.url("app"))
    assert refused.code == 2
    assert "M10_OPS_DATABASE_URL" in refused.err


def test_the_rules_that_it_prints_are_enough_for_the_server_that_it_asked(doctor: Command, redis_url: str) -> None:
    printed = doctor("doctor", "--acl", REDIS_URL=redis_url)
    assert (printed.code, printed.err) == (0, "")
    [line] = printed.out.splitlines()
    with redis.Redis.from_url(redis_url) as raw:
        assert raw.execute_command(*line.replace(">PASSWORD", ">right").split(" "))
        try:
            looked = doctor("doctor", "--redis", REDIS_URL=as_user(redis_url, "m10:right"))
        finally:
            raw.acl_deluser("m10")
    assert looked.code == 0
    assert {(check, verdict) for check, verdict, *_ in looked.rows} == {
        (check, "ok") for check in ("version", "role", "mode", "maxmemory-policy", "persistence", "rights")
    }


def test_without_a_server_the_rules_are_printed_and_it_is_said_what_could_not_be_asked(doctor: Command) -> None:
    url = "redis+sentinel://127.0.0.1:1/main"
    printed = doctor("doctor", "--acl", REDIS_URL=url)
    assert printed.code == 0
    assert "leave out what it refuses" in printed.err
    server, sentinels = printed.out.splitlines()
    assert "+xackdel" in server
    assert sentinels.endswith("+sentinel|get-master-addr-by-name")
    assert doctor("doctor", "--redis", REDIS_URL=url).code == 69


def test_what_does_not_fit_about_the_server_is_told_with_what_comes_of_it(doctor: Command, tmp_path: Path) -> None:
    bad = (
        "--maxmemory-policy",
        "allkeys-lru",
        "--user",
        "default",
        "on",
        "nopass",
        "~*",
        "+@all",
        "-xadd",
        "--replicaof",
        "127.0.0.1",
        "1",
    )
    with RedisServer(tmp_path / "server", *bad) as server:
        looked = doctor("doctor", "--redis", "--json", REDIS_URL=f"redis+cluster://127.0.0.1:{server.port}")
        plain = doctor("doctor", "--redis", "--json", REDIS_URL=server.url)
    assert (looked.code, plain.code) == (2, 1)
    assert "hash tag" in looked.err
    wrong = {each["check"] for each in plain.json if each["fits"] is False}
    assert wrong == {"role", "maxmemory-policy", "persistence", "rights"}


def test_it_does_one_thing_at_a_time(doctor: Command) -> None:
    assert doctor("doctor", "--acl", "--redis").code == 2


def test_beside_m10_dev_the_server_of_its_data_folder_is_looked_at(
    m10: Command,  # noqa: F811
    servers: EmbeddedServers,
    tmp_path: Path,
) -> None:
    (tmp_path / ".m10").mkdir()
    (tmp_path / ".m10" / "socket-folder").write_text(str(servers.valkey.socket.parent))
    looked = m10("doctor", "--redis", "--json")
    assert (looked.code, looked.err) in {(0, ""), (1, "")}
    assert looked.json[0]["check"] == "version"
