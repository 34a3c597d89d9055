"""`m10 doctor`: what an operator does to the stores by hand, done safely, and a look at the Redis server."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption, load
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import ExitCode, WrongUsage
from m10actors.cli.finding import nearest
from m10actors.cli.listing import operator
from m10actors.cli.options import DataDirOption

if TYPE_CHECKING:
    from m10actors.config import Settings

BumpOption = Annotated[
    bool,
    typer.Option(
        "--bump-epochs", help="Raise the epoch of every lock above all that were ever given: after a restore, once."
    ),
]
AclOption = Annotated[
    bool, typer.Option("--acl", help="Print the least rights of a Redis user, as commands for the server.")
]
RedisOption = Annotated[
    bool, typer.Option("--redis", help="Look at the Redis server: version, role, form, eviction, persistence, rights.")
]


def doctor(
    bump_epochs: BumpOption = False,
    acl: AclOption = False,
    look_at_redis: RedisOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sets right what a restore leaves behind, prints the rights that Redis has to give, looks at its server.

    A database that was restored from a copy gives epochs once more that receivers have seen, and they refuse what comes
    with them (412). Whoever leads at that moment steps down, and is elected again.
    """
    match bump_epochs, acl, look_at_redis:
        case True, False, False:
            _bump_epochs(database, data_dir, config_file, as_json=as_json)
        case False, True, False:
            _print_acl(_settings(data_dir, config_file), as_json=as_json)
        case False, False, True:
            _look_at_redis(_settings(data_dir, config_file), as_json=as_json)
        case _:
            raise WrongUsage("say what is to be done, one thing: --bump-epochs, --acl or --redis")


def _bump_epochs(database: str | None, data_dir: Path | None, file: Path | None, *, as_json: bool) -> None:
    from m10actors.postgres import locks

    with opened(located("ops", database, data_dir, file), "ops") as store:
        bumped = locks.bump_epochs(store, operator())
    if as_json:
        output.document([{"lock": name, "before": before, "epoch": now} for name, before, now in bumped])
    else:
        output.table(("lock", "before", "epoch"), bumped)


def _settings(data_dir: Path | None, file: Path | None) -> "Settings":
    """Those that name Redis: of the servers of `data_dir`, of the configuration, or of the nearest .m10."""
    if data_dir is None:
        loaded = load(file)
        data_dir = nearest() if loaded.is_default("redis.url") else None
        if data_dir is None:
            return loaded.settings
    return located("ops", None, data_dir, file).settings


def _print_acl(settings: "Settings", *, as_json: bool) -> None:
    """The rules go to standard output, ready for the server; what could not be found out goes to standard error."""
    from m10actors.application.parts import redis_client, stream_names
    from m10actors.redis_address import Form
    from m10actors.streams import NEEDED, OPTIONAL, SENTINEL_RULES, StreamsError, acl_rules, unknown_commands

    client, names = redis_client(settings), stream_names(settings)
    unknown: set[str] = set()
    try:
        unknown = unknown_commands(client, names)
    except StreamsError as error:
        typer.echo(
            f"m10: the server cannot be asked which commands it knows ({error}): leave out what it refuses", err=True
        )
    finally:
        client.close()
    rules = {"server": acl_rules(names, client.form, without=unknown)}
    if client.form is Form.SENTINEL:
        rules["sentinels"] = list(SENTINEL_RULES)
    if as_json:
        purposes = {right.command: right.purpose for right in (*NEEDED, *OPTIONAL)}
        output.document(rules | {"unknown": sorted(unknown), "purposes": purposes})
        return
    for each in rules.values():
        typer.echo(" ".join(["ACL SETUSER m10 >PASSWORD", *each]))


def _look_at_redis(settings: "Settings", *, as_json: bool) -> None:
    """Ends with 1 where something does not fit."""
    from m10actors.application.parts import redis_client, stream_names
    from m10actors.streams import Finding, RedisRightMissing, check_rights, checkup

    client = redis_client(settings)
    try:
        findings = checkup(client)
        fit, found = True, "all that are needed"
        try:
            check_rights(client, stream_names(settings))
        except RedisRightMissing as error:
            fit, found = False, str(error)
        findings.append(Finding("rights", found, "all that are needed", fit, "all work goes through PostgreSQL"))
    finally:
        client.close()
    if as_json:
        output.document([asdict(each) for each in findings])
    else:
        verdicts = {True: "ok", False: "wrong", None: "unknown"}
        rows = [(f.check, verdicts[f.fits], f.found, f.expected, "" if f.fits else f.consequence) for f in findings]
        output.table(("check", "verdict", "found", "expected", "else"), rows)
    if any(each.fits is False for each in findings):
        raise typer.Exit(ExitCode.FOUND_WRONG)
