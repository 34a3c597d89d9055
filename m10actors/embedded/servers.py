"""Both servers on one data folder: the one thing that `m10 dev` and the tests start and stop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from m10actors.embedded.binaries import Programs
from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.errors import EmbeddedError
from m10actors.embedded.postgres import SUPERUSER, PostgresServer, connection_url
from m10actors.embedded.valkey import ValkeyServer

WHEELS = Programs()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen: Unix sockets in a folder of mode 0700, and nowhere else."""

    socket_dir: Path
    valkey_socket: Path

    @property
    def postgres_superuser_url(self) -> str:
        return self.postgres_url(SUPERUSER, SUPERUSER)

    @property
    def redis_url(self) -> str:
        """As `redis.Redis.from_url` takes it."""
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    def postgres_url(self, user: str, database: str) -> str:
        """A libpq URL; no password is asked for."""
        return connection_url(self.socket_dir, user, database)


class EmbeddedServers:
    """PostgreSQL and Valkey on a data folder that one process at a time may use.

    `postgres` and `valkey` can be killed and started on their own between `start` and `stop`. `start_timeout` is in
    seconds, for each server. `fsync=False` is for tests: the data outlives kill -9, not a power cut. `programs` names
    other programs than those of the wheels.
    """

    def __init__(
        self, data_dir: Path, *, start_timeout: float = 30.0, fsync: bool = True, programs: Programs = WHEELS
    ) -> None:
        self._data = data = DataFolder(data_dir)
        self.postgres = PostgresServer(data, start_timeout=start_timeout, fsync=fsync, binaries=programs.postgres)
        self.valkey = ValkeyServer(data, start_timeout=start_timeout, fsync=fsync, binary=programs.valkey)

    def start(self) -> Addresses:
        """Bring up whichever server is not up; EmbeddedError if one cannot be, and then neither runs.

        The first time it makes the data folder; later it finds the data again, and servers left by a killed owner.
        """
        try:
            with ExitStack() as undo:
                self._data.acquire()
                undo.callback(self.stop)
                _together(self.postgres.start, self.valkey.start)
                undo.pop_all()
        except OSError as error:
            raise EmbeddedError(f"the embedded servers cannot run on {self._data.path}: {error}") from error
        return Addresses(self._data.sockets, self.valkey.socket)

    def stop(self) -> None:
        """Shut both down and let go of the folder; safe to call twice, and when nothing was started."""
        with ExitStack() as steps:
            steps.callback(self._data.release)
            steps.callback(self.valkey.stop)
            steps.callback(self.postgres.stop)


def _together(*calls: Callable[[], None]) -> None:
    """All calls at the same time, each in a thread; the first one's error if several fail."""
    with ThreadPoolExecutor(len(calls), thread_name_prefix="embedded") as threads:
        outcomes = [threads.submit(call) for call in calls]
    for outcome in outcomes:
        outcome.result()
