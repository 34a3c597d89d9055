"""What can keep `m10 run` and `m10 dev` from starting: one message that names the setting or the path and says what to
do, exit code 2 or 69, no traceback; and what must not keep them from it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import command_kit
import pytest
from cli_kit import M10
from command_kit import Command, Ran
from conftest import PythonAs
from life_kit import Engine

from m10actors.embedded import EmbeddedServers
from m10actors.embedded.data_folder import DataFolder
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

m10 = command_kit.m10
NOWHERE = "postgresql://u:s3cret@127.0.0.1:1/x"
MAIN = "import sys; from m10actors.cli.main import main; sys.argv = ['m10', *sys.argv[1:]]; main()"


@pytest.fixture
def engine(tmp_path: Path, database: MigratedDatabase, redis_url: str) -> Iterator[Engine]:
    made = Engine(tmp_path, database, redis_url)
    yield made
    made.close()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="m10-"))
    yield folder / "data"
    shutil.rmtree(folder)


def told(ran: Ran, code: int, *words: str) -> None:
    """It ended with this code and this message, and with no secret and no traceback."""
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert ran.err.startswith("m10: ")
    for word in words:
        assert word in ran.err
    for word in ("Traceback", "s3cret", "internal error"):
        assert word not in ran.err


def test_all_that_is_wrong_with_a_configuration_is_told_at_once(m10: Command) -> None:
    """Row 40, and row 39."""
    file = m10.home / "wrong.toml"
    file.write_text(
        '[database]\nurl = "postgres//u:s3cret@h/db"\npool_size = 1e9\n[outbox]\nlock_ttl = "5s"\nrenew_every = "5s"\n'
        '[destinations.a]\nurl = "https://h"\nheaders = { X = "s3cret\\r\\nY: z" }\n[ntake]\nbatch_size = 5\n'
    )
    ran = m10("run", "-c", str(file), M10_STREAM_KY="x", OUTBOX_POLL_INTERVAL="-1")
    told(ran, 2, "database.url", "database.pool_size", "outbox.lock_ttl", "destinations.a.headers", "ntake")
    told(ran, 2, "M10_STREAM_KEY", "outbox.poll_interval", "7 problems")


def test_without_postgresql_it_says_where_it_looked(m10: Command) -> None:
    told(m10("run", DATABASE_URL=NOWHERE), 69, "PostgreSQL (postgresql://u:***@127.0.0.1:1/x)", "refused")


def test_a_database_without_the_schema_is_told_to_be_migrated(m10: Command, servers: EmbeddedServers) -> None:
    told(m10("run", DATABASE_URL=servers.start().postgres_superuser_url), 2, "run m10 migrate first")


def test_a_file_in_the_place_of_a_folder_is_named(m10: Command, tmp_path: Path) -> None:
    (file := tmp_path / "file").touch()
    told(m10("dev", "--data-dir", str(file)), 69, f"{file} is not a folder")


def test_a_data_folder_that_another_process_uses_is_left_to_it(m10: Command, data_dir: Path) -> None:
    folder = DataFolder(data_dir)
    folder.acquire()
    told(m10("dev", "--data-dir", str(data_dir)), 2, f"in use by process {os.getpid()}", "or another folder")
    folder.release()


def test_a_postgresql_folder_that_is_damaged_is_named_with_a_way_out(
    m10: Command, data_dir: Path, servers: EmbeddedServers
) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    shutil.copy(servers.postgres.folder / "PG_VERSION", data_dir / "postgres")
    ran = m10("dev", "--data-dir", str(data_dir))
    told(ran, 69, f"restore {data_dir}/postgres from a backup, or move it away to begin anew", "postgres.log")


@pytest.mark.needs("user:nobody")
def test_a_data_folder_that_cannot_be_written_is_named(data_dir: Path, nobody: PythonAs) -> None:
    data_dir.parent.chmod(0o711)
    with nobody.popen(MAIN, "dev", "--data-dir", str(data_dir)) as process:
        output, _ = process.communicate()
    told(Ran(process.returncode, "", output), 69, str(data_dir), "Permission denied")
    assert len(output.splitlines()) == 1


@pytest.mark.needs("tmpfs")
def test_a_full_disk_is_told_in_its_own_words(data_dir: Path) -> None:
    data_dir.mkdir()
    script = (
        f"mount -t tmpfs -o size=4m tmpfs {data_dir} && exec {sys.executable} -m m10actors dev --data-dir {data_dir}"
    )
    ran = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    told(Ran(ran.returncode, ran.stdout, ran.stderr), 69, str(data_dir), "No space left on device")


def test_a_port_in_use_is_named(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        engine.write(http__listen=f"127.0.0.1:{port}")
        assert engine.launch().wait(30) == 2
    text = engine.log.read_text()
    assert f"127.0.0.1:{port}" in text
    assert "in use" in text
    assert "Traceback" not in text


def test_a_run_folder_that_is_none_is_named(engine: Engine) -> None:
    (engine.folder / "run").touch()
    assert engine.launch().wait(30) == 2
    assert f"the run folder {engine.folder / 'run'} cannot be used" in engine.log.read_text()
    assert "Traceback" not in engine.log.read_text()


def test_without_redis_it_starts_and_says_so(engine: Engine) -> None:
    engine.write(redis__url="redis://:s3cret@127.0.0.1:1/0")
    engine.start()
    [event] = engine.events("redis_unreachable")
    assert event["consequence"] == "work goes through PostgreSQL"
    assert "s3cret" not in engine.log.read_text()
    assert engine.end() == 0


def test_a_data_folder_with_garbage_in_it_is_used_where_nothing_is_lost_by_it(tmp_path: Path, data_dir: Path) -> None:
    """The token, the append-only file, instance files and the note of the sockets."""
    for name in ("token", "socket-folder", "valkey/appendonlydir/appendonly.aof.manifest", "run/instances/a:1:b.json"):
        (path := data_dir / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(b"\xff\0garbage\n")
    process = M10(tmp_path).begin("dev", "--empty", "--data-dir", str(data_dir), M10_HTTP_LISTEN="127.0.0.1:0")
    assert process.stdout is not None
    assert b"m10 is ready" in process.stdout.readline()
    eventually(lambda: (data_dir / "token").read_bytes().startswith(b"m10_"))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"append_only_file_set_aside" in err
    assert b"Traceback" not in out + err
