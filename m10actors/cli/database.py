"""The database that a verb works on: its address by role, from options, configuration, or a running `m10 dev`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from m10actors import config
from m10actors.cli.config import load
from m10actors.cli.errors import Unreachable, WrongUsage
from m10actors.cli.finding import nearest
from m10actors.cli.options import setting
from m10actors.config import Loaded
from m10actors.postgres.errors import NotPermitted
from m10actors.postgres.pool import Database
from m10actors.postgres.prober import reachable

Role: TypeAlias = Literal["app", "ops", "migrate"]

_PATHS: Final[dict[Role, str]] = {"app": "database.url", "ops": "database.ops_url", "migrate": "database.migrate_url"}
_NAMES: Final[dict[Role, str]] = {
    "app": "database.url (DATABASE_URL)",
    "ops": "database.ops_url (M10_OPS_DATABASE_URL) or database.url (DATABASE_URL)",
    "migrate": "database.migrate_url (M10_MIGRATE_DATABASE_URL) or database.url (DATABASE_URL)",
}

AppDatabaseOption = Annotated[str | None, typer.Option("--database", metavar="URL", help=setting("database.url"))]
OpsDatabaseOption = Annotated[str | None, typer.Option("--database", metavar="URL", help=setting("database.ops_url"))]


def located(role: Role, url: str | None, data_dir: Path | None, file: Path | None) -> Loaded:
    """Settings that name a database for `role`: at `url`, of the servers of `data_dir`, of the configuration, or of the
    servers of the nearest .m10. WrongUsage if none of these is there.
    """
    if url is not None and data_dir is not None:
        raise WrongUsage("--database and --data-dir exclude one another")
    if data_dir is None:
        loaded = load(file, None, **{_PATHS[role]: url})
        data_dir = nearest()
        if loaded.settings.database.address(role) is not None or data_dir is None:
            return loaded
    return _local(data_dir, file)


@contextmanager
def opened(loaded: Loaded, role: Role) -> Iterator[Database]:
    """The database as `role`; WrongUsage if it lacks a right, StoreError if it cannot be connected to."""
    with Database(address(loaded, role), name=role, size=1) as database:
        try:
            yield database
        except NotPermitted as error:
            raise WrongUsage(f"PostgreSQL does not permit it to this role: {error}: set {_NAMES[role]}") from error


def address(loaded: Loaded, role: Role) -> str:
    """The URL for `role`; WrongUsage if none is set, StoreError with the reason if it cannot be connected to."""
    secret = loaded.settings.database.address(role)
    if secret is None:
        raise WrongUsage(f"no database is named: set {_NAMES[role]}, or give its address")
    url = secret.get_secret_value()
    if failure := reachable(url):
        raise failure
    return url


def _local(data_dir: Path, file: Path | None) -> Loaded:
    """Settings of `m10 dev` on the data folder, except where its receiver listens, which no verb needs to know."""
    from m10actors.cli import local  # what starts servers is not loaded by a verb that finds its database set
    from m10actors.embedded import sockets_of

    sockets = sockets_of(data_dir)
    if sockets is None:
        raise Unreachable(f"no servers were started on {data_dir}: m10 dev --data-dir {data_dir} starts them")
    return config.load(file, os.environ, local.servers(sockets), local.actions("http://127.0.0.1"))
