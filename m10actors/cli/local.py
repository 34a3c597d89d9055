"""Everything on this machine: embedded servers, a database with its roles, a receiver, and settings that fit. For dev
and demo.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from m10actors import config
from m10actors.embedded import Addresses, EmbeddedError, EmbeddedServers
from m10actors.embedded.postgres import SUPERUSER, connection_url
from m10actors.embedded.valkey import SOCKET
from m10actors.postgres import tokens
from m10actors.postgres.migrate import create_database, migrate
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.shipped import shipped
from m10actors.testing.ledger import Ledger
from m10actors.testing.receiver import Receiver, Request

DATABASE = "m10"
DESTINATION = "receiver"


class Local:
    """Embedded servers on a data folder, migrated, and a loopback receiver to which every action is mapped."""

    def __init__(self, data_dir: Path, *, on_delivery: Callable[[Request, int], None] | None = None) -> None:
        self.data_dir = data_dir
        self.run_dir = data_dir / "run"
        self._servers = EmbeddedServers(data_dir)
        self.on_delivery = on_delivery
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        """EmbeddedError if the servers cannot be started."""
        with ExitStack() as undo:
            undo.callback(self._servers.stop)
            self.addresses: Addresses = self._servers.start()
            self._prepare()
            self.receiver = Receiver(ledger=Ledger(), on_delivery=self.on_delivery)
            self.receiver.start()
            undo.callback(self.receiver.stop)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def load(self, file: Path | None, flags: Mapping[str, object]) -> config.Loaded:
        """Settings for the local servers, which win over file and environment, as `flags` do over all. What nobody else
        says about actions is `actions`.
        """
        base = actions(self.receiver.url) | {"outbox.lock_ttl": "15s"}
        return config.load(file, os.environ, self._flags() | dict(flags), base)

    def token(self, name: str = "local") -> str:
        """A token for everything, kept in the data folder (0600) and made again when it is not there or not valid any
        more.
        """
        path = self.data_dir / "token"
        with Database(self.addresses.postgres_url("m10_ops", DATABASE), name="token", size=1) as database:
            if (kept := _kept(path)) and tokens.find(database, kept):
                return kept
            text = tokens.create(database, f"{name}-{os.urandom(4).hex()}", tokens.SCOPES)
        draft = path.with_name(".token")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(text + "\n")
        draft.rename(path)
        return text

    def _prepare(self) -> None:
        create_database(self.addresses.postgres_superuser_url, DATABASE)
        migrate(self.addresses.postgres_url("postgres", DATABASE), shipped("schema"))

    def _flags(self) -> dict[str, object]:
        own = {
            "process.run_dir": str(self.run_dir),
            "stats.output_dir": str(self.data_dir / "stats"),
        }
        return servers(self.addresses.socket_dir) | own


def _kept(path: Path) -> str | None:
    """What the file holds; None without one that can be a token."""
    try:
        return path.read_bytes().decode("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise EmbeddedError(f"{path} cannot be read as a file with a token: {error.strerror}") from error


def servers(sockets: Path) -> dict[str, object]:
    """Where local servers are: Redis, and the database as each of its roles."""
    return {
        "redis.url": Addresses(sockets, sockets / SOCKET).redis_url,
        "database.url": connection_url(sockets, "m10_app", DATABASE),
        "database.ops_url": connection_url(sockets, "m10_ops", DATABASE),
        "database.metrics_url": connection_url(sockets, "m10_metrics", DATABASE),
        "database.migrate_url": connection_url(sockets, SUPERUSER, DATABASE),
    }


def actions(receiver_url: str) -> dict[str, object]:
    """Every action goes to the receiver, by itself where it may."""
    found: dict[str, object] = {
        "decisions.auto_execute": True,
        f"destinations.{DESTINATION}.url": receiver_url,
        f"destinations.{DESTINATION}.allow_http": True,
        f"destinations.{DESTINATION}.allow_networks": ["127.0.0.0/8"],
    }
    for code in SEEDED_ACTIONS:
        found[f"actions.{code}.event"] = "webhook:recovery"
        found[f"actions.{code}.destination"] = DESTINATION
    return found
