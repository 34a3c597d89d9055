"""A migrated database for one test, and ways into it as each of its roles."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from m10actors.postgres.pool import Database
from m10actors.testing.stores import Postgres

Role = Literal["superuser", "owner", "app", "ops", "metrics"]
_USERS: dict[Role, str] = {
    "superuser": "postgres",
    "owner": "postgres",
    "app": "m10_app",
    "ops": "m10_ops",
    "metrics": "m10_metrics",
}


@dataclass(frozen=True, slots=True)
class MigratedDatabase:
    """What is opened through it is closed with it."""

    addresses: Postgres
    name: str
    undo: ExitStack

    def url(self, role: Role = "app") -> str:
        return self.addresses.postgres_url(_USERS[role], self.name)

    def pool(self, role: Role = "app", size: int = 4) -> Database:
        return self.undo.enter_context(Database(self.url(role), name=f"test-{role}", size=size))

    def connect(self, role: Role = "app") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of its own, in autocommit; "owner" is m10_owner, who cannot log in."""
        connection = self.undo.enter_context(psycopg.connect(self.url(role), autocommit=True))
        if role == "owner":
            connection.execute("SET ROLE m10_owner")
        return connection
