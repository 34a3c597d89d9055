"""`m10 migrate`: brings the database's schema up to date."""

from enum import StrEnum
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption, load
from m10actors.cli.database import address
from m10actors.cli.errors import ExitCode, WrongUsage
from m10actors.cli.options import setting
from m10actors.postgres import migrate as migrations
from m10actors.shipped import shipped


class Part(StrEnum):
    """Which migrations are printed."""

    ALL = "all"
    ROLES = "roles"


UrlOption = Annotated[str | None, typer.Option("--url", metavar="URL", help=setting("database.migrate_url"))]
StatusOption = Annotated[
    bool, typer.Option("--status", help="List the migrations and when they were applied; 1 if one is not.")
]
PrintOption = Annotated[
    Part | None, typer.Option("--print-sql", help="Print the SQL and do nothing: for an administrator, or to read it.")
]


def migrate(
    url: UrlOption = None,
    status: StatusOption = False,
    print_sql: PrintOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Applies the migrations that the database lacks, each in a transaction of its own. Several may run at once."""
    if print_sql is not None:
        if status:
            raise WrongUsage("--status and --print-sql exclude one another")
        _print(print_sql)
        return
    where = address(load(config_file, None, **{"database.migrate_url": url}), "migrate")
    if status:
        _list(where, as_json=as_json)
        return
    applied = [migration.name for migration in migrations.migrate(where, shipped("schema"))]
    if as_json:
        output.document({"applied": applied})
    else:
        print("\n".join(f"applied {name}" for name in applied) or "nothing to do: the schema is up to date")


def _print(part: Part) -> None:
    for migration in migrations.migrations(shipped("schema")):
        if part is Part.ALL or not migration.as_owner:
            print(f"-- {migration.name}\n{migration.text}")


def _list(url: str, *, as_json: bool) -> None:
    entries = [(entry.migration.name, entry.applied_at) for entry in migrations.status(url, shipped("schema"))]
    if as_json:
        output.document([{"name": name, "applied_at": when} for name, when in entries])
    else:
        output.table(("migration", "applied"), entries)
    if any(when is None for _, when in entries):
        raise typer.Exit(ExitCode.FOUND_WRONG)
