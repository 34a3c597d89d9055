"""PgBouncer in transaction mode before an embedded PostgreSQL; its program is Debian's package of that name."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from m10actors.embedded import Addresses
from m10actors.embedded.binaries import unprivileged
from m10actors.embedded.postgres import PORT, connection_url

_USERS = ("postgres", "m10_app", "m10_ops", "m10_metrics")
_CONFIGURATION = """
[databases]
* = host={server} port={port}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = {port}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
logfile = {folder}/log
"""


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """Where it listens."""

    folder: Path

    def url(self, user: str, database: str) -> str:
        """A libpq URL; no password is asked for."""
        return connection_url(self.folder, user, database)


def program() -> str | None:
    """Where PgBouncer lies; an ordinary user's PATH need not lead to it."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/local/sbin:/usr/sbin")


@contextmanager
def pgbouncer(addresses: Addresses, folder: Path, *, pool_size: int = 20) -> Iterator[PgBouncer]:
    """Runs while in use. `folder` is short, as a socket lies in it. `pool_size`: connections to PostgreSQL for each
    user and database, which the clients share transaction by transaction.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "users").write_text("".join(f'"{user}" ""\n' for user in _USERS))
    file = folder / "pgbouncer.ini"
    file.write_text(_CONFIGURATION.format(server=addresses.socket_dir, port=PORT, folder=folder, pool_size=pool_size))
    process = subprocess.Popen(
        [*unprivileged(), program() or "pgbouncer", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        bouncer = PgBouncer(folder)
        _until_it_answers(process, bouncer)
        yield bouncer
    finally:
        process.terminate()
        process.wait(30)


def _until_it_answers(process: "subprocess.Popen[bytes]", bouncer: PgBouncer) -> None:
    while process.poll() is None:
        try:
            psycopg.connect(bouncer.url("postgres", "postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"PgBouncer ended with {process.returncode}: {(bouncer.folder / 'log').read_text()}")
