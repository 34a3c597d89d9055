"""Which servers the tests run on: those of the wheels, or others that the environment names.

    M10_TEST_VALKEY_SERVER   a `valkey-server` or `redis-server` to start in the place of the wheel's
    M10_TEST_POSTGRES        the folder of the `postgres` and `initdb` to start in the place of the wheel's
    M10_TEST_REDIS_URL       a server that runs already; the fixture `redis_url` empties it before each test
    M10_TEST_POSTGRES_URL    a PostgreSQL that runs already, as its superuser; it must trust every user without password

A test that stops, kills or freezes a server asks for the fixture `servers`, which are always ours to do that with.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import quote, urlsplit

from m10actors.embedded import EmbeddedError, Programs
from m10actors.embedded.binaries import valkey_command

VALKEY_SERVER = "M10_TEST_VALKEY_SERVER"
POSTGRES = "M10_TEST_POSTGRES"
REDIS_URL = "M10_TEST_REDIS_URL"
POSTGRES_URL = "M10_TEST_POSTGRES_URL"


class Postgres(Protocol):
    """Where databases can be made, and the way in as each user."""

    @property
    def postgres_superuser_url(self) -> str: ...

    def postgres_url(self, user: str, database: str) -> str: ...


@dataclass(frozen=True, slots=True)
class RunningPostgres:
    """A PostgreSQL that somebody else started."""

    postgres_superuser_url: str

    def postgres_url(self, user: str, database: str) -> str:
        found = urlsplit(self.postgres_superuser_url)
        place = found.netloc.rpartition("@")[2]
        return found._replace(netloc=f"{quote(user, safe='')}@{place}", path=f"/{quote(database, safe='')}").geturl()


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the environment says."""

    programs: Programs
    redis_url: str | None
    postgres: RunningPostgres | None

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """EmbeddedError names a program that is not there."""
        server, folder = environ.get(VALKEY_SERVER), environ.get(POSTGRES)
        programs = Programs(
            _program(VALKEY_SERVER, Path(server)) if server else None,
            _program(POSTGRES, Path(folder, "initdb")).parent if folder else None,
        )
        running = environ.get(POSTGRES_URL)
        return cls(programs, environ.get(REDIS_URL) or None, RunningPostgres(running) if running else None)


def redis_command() -> list[str]:
    """The beginning of a command line that runs the chosen Valkey or Redis."""
    chosen = Chosen.of().programs.valkey
    return [str(chosen)] if chosen else valkey_command()


def _program(name: str, path: Path) -> Path:
    if not os.access(path, os.X_OK):
        raise EmbeddedError(f"{name}: {path} is no program that can be run")
    return path.absolute()
