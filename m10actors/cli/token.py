"""`m10 token`: the tokens of the API, made and ended as the operations role."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption, load
from m10actors.cli.database import address
from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.cli.options import setting
from m10actors.postgres import tokens
from m10actors.postgres.pool import Database

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens of the API.")


class Scope(StrEnum):
    """What a token may allow: `tokens.SCOPES`."""

    WRITE = "recovery:write"
    READ = "recovery:read"
    APPROVE = "recovery:approve"
    OPS = "ops"


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Whom the token stands for; who acted is told by it.")
]
ScopeOption = Annotated[list[Scope], typer.Option("--scope", help="What the token allows; may be repeated.")]
DatabaseOption = Annotated[str | None, typer.Option("--database", metavar="URL", help=setting("database.ops_url"))]


@app.command()
def new(
    name: NameArgument,
    scope: ScopeOption = [Scope.WRITE],  # noqa: B006 (Typer reads it, nobody writes it)
    database: DatabaseOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a token and prints it, this once: only its hash is stored."""
    if not _NAME.fullmatch(name):
        raise WrongUsage("a name has 1 to 100 letters, digits, _ . @ and -, and begins with a letter or a digit")
    scopes = list(dict.fromkeys(one.value for one in scope))
    with _operations(database, config_file) as opened:
        text = tokens.create(opened, name, scopes)
    if as_json:
        output.document({"name": name, "scopes": scopes, "token": text})
    else:
        output.note(f"token {name} ({', '.join(scopes)}), shown this once:")
        print(text)


@app.command("list")
def list_tokens(database: DatabaseOption = None, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Lists all tokens, the revoked ones too, without their text."""
    with _operations(database, config_file) as opened:
        records = tokens.listed(opened)
    if as_json:
        output.document([asdict(record) for record in records])
    else:
        rows = ((r.name, ",".join(r.scopes), r.created_at, r.revoked_at) for r in records)
        output.table(("name", "scopes", "created", "revoked"), rows)


@app.command()
def revoke(
    name: NameArgument, database: DatabaseOption = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Ends a token; running instances forget it within seconds."""
    with _operations(database, config_file) as opened:
        revoked = tokens.revoke(opened, name)
    if as_json:
        output.document({"name": name, "revoked": revoked})
    if not revoked:
        raise CommandError(f"no live token is named {name}")
    if not as_json:
        print(f"{name} is revoked")


@contextmanager
def _operations(database: str | None, config_file: Path | None) -> Iterator[Database]:
    """The database as the operations role."""
    url = address(load(config_file, None, **{"database.ops_url": database}), "ops")
    with Database(url, name="ops", size=1) as opened:
        yield opened
