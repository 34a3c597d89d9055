"""`m10 token`: the tokens of the API, made and ended as the operations role."""

import re
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.cli.listing import operator
from m10actors.cli.options import DataDirOption
from m10actors.postgres import tokens

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


@app.command()
def new(
    name: NameArgument,
    scope: ScopeOption = [Scope.WRITE],  # noqa: B006 (Typer reads it, nobody writes it)
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a token and prints it, this once: only its hash is stored."""
    if not _NAME.fullmatch(name):
        raise WrongUsage("a name has 1 to 100 letters, digits, _ . @ and -, and begins with a letter or a digit")
    scopes = list(dict.fromkeys(one.value for one in scope))
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        text = tokens.create(store, name, scopes, operator())
    if as_json:
        output.document({"name": name, "scopes": scopes, "token": text})
    else:
        output.note(f"token {name} ({', '.join(scopes)}), shown this once:")
        print(text)


@app.command("list")
def list_tokens(
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists all tokens, the revoked ones too, without their text."""
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        records = tokens.listed(store)
    if as_json:
        output.document([asdict(record) for record in records])
    else:
        rows = ((r.name, ",".join(r.scopes), r.created_at, r.revoked_at) for r in records)
        output.table(("name", "scopes", "created", "revoked"), rows)


@app.command()
def revoke(
    name: NameArgument,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ends a token; running instances forget it within seconds."""
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        revoked = tokens.revoke(store, name, operator())
    if as_json:
        output.document({"name": name, "revoked": revoked})
    if not revoked:
        raise CommandError(f"no live token is named {name}")
    if not as_json:
        print(f"{name} is revoked")
