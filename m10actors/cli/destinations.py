"""`m10 outbox destinations`: how each one does, and holding one back."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from m10actors.cli import operations, output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import CommandError
from m10actors.cli.listing import note, operator
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption
from m10actors.cli.reaching import UrlOption, reach
from m10actors.cli.views import span
from m10actors.postgres import destinations as store

app = typer.Typer(help="How each destination of a running instance does; pause one, resume one.")

COLUMNS = ("name", "breaker", "at once", "p50", "p99", "failed", "waiting", "oldest", "detail")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name in the configuration.")]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason; it is shown while paused.")]


@app.callback(invoke_without_command=True)
def destinations(
    context: typer.Context,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Breaker, concurrency, latency, failures and backlog of each destination, as a running instance knows them.

    Ask the leader: what an instance has seen since its start are its own deliveries.
    """
    if context.invoked_subcommand is not None:
        return
    address, secret = reach(url, data_dir, instance, token, token_file, config_file)
    found = operations.ask(address, "/ops/destinations", secret)["destinations"]
    if as_json:
        output.document(found)
    else:
        output.table(COLUMNS, map(_row, found))


@app.command()
def pause(
    name: NameArgument,
    why: WhyOption = None,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
) -> None:
    """Holds the events of a destination back, in the whole installation, until it is resumed. They spend no attempt."""
    reason = ": ".join(filter(None, (f"by {operator()}", note(why))))
    with opened(located("ops", database, data_dir, config_file), "ops") as ops:
        if not store.pause(ops, name, reason, operator()):
            raise CommandError(f"{name} is paused already")
    print(f"{name} is paused")


@app.command()
def resume(
    name: NameArgument,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
) -> None:
    """Lets the events of a destination go again that was paused, by an operator or because it answered 410."""
    with opened(located("ops", database, data_dir, config_file), "ops") as ops:
        if not store.resume(ops, name, operator()):
            raise CommandError(f"{name} is not paused")
    print(f"{name} is resumed")


def _row(each: Mapping[str, Any]) -> tuple[object, ...]:
    backlog = (each["waiting"], span(each["oldest_seconds"]))
    paused = f"paused {each['paused_because']}" if each["paused_because"] is not None else None
    if (seen := each["seen"]) is None:
        return (each["name"], None, None, None, None, None, *backlog, paused or "not configured here")
    ratio = None if seen["failure_ratio"] is None else f"{seen['failure_ratio']:.0%}"
    closed = f"{seen['closed_because']} for {span(seen['closed_seconds'])}" if seen["closed_because"] else None
    return (
        each["name"],
        seen["breaker"],
        f"{seen['on_way']} of {seen['concurrency']}",
        _milliseconds(seen["p50_seconds"]),
        _milliseconds(seen["p99_seconds"]),
        ratio,
        *backlog,
        paused or closed,
    )


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{1000 * seconds:.0f} ms"
