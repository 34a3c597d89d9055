"""The `m10` command: its verbs, each loaded only when it is called, and what a verb's failure comes to."""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

import m10actors
from m10actors import collector, logs
from m10actors.testing.failpoints import refuse_in_production


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb as `m10 --help` lists it, and where it is: `module:name` of a function or of a Typer with verbs below."""

    name: str
    target: str
    panel: str
    sentence: str


VERBS = (
    Verb("dev", "m10actors.cli.dev:dev", "Run", "Everything on this machine, to try it: servers, engine, receiver."),
    Verb("run", "m10actors.cli.run:run", "Run", "The engine, on servers that exist."),
    Verb("demo", "m10actors.cli.demo:demo", "Run", "Everything once on real failures, with an account that balances."),
    Verb(
        "migrate", "m10actors.cli.migrate:migrate", "Set up", "Bring the database's schema up to date, or look at it."
    ),
    Verb("token", "m10actors.cli.token:app", "Set up", "Make, list and revoke the tokens of the API."),
    Verb("config", "m10actors.cli.config:app", "Set up", "Check the configuration, show it, print its reference."),
    Verb("ingest", "m10actors.cli.ingest:ingest", "Use", "Report the failures in JSON lines, a log or a journal."),
    Verb(
        "candidates", "m10actors.cli.candidates:app", "Decide", "List and show candidates, approve or reject actions."
    ),
    Verb("rules", "m10actors.cli.rules:app", "Decide", "Check, test and list the rules that decide."),
    Verb("explain", "m10actors.cli.explain:explain", "Decide", "Why a candidate was decided so, what would change it."),
    Verb("review", "m10actors.cli.review:review", "Decide", "Go through what waits for a verdict, one after another."),
    Verb("outbox", "m10actors.cli.outbox:app", "Decide", "List and show the events of actions, send some again."),
    Verb("dlq", "m10actors.cli.dlq:app", "Decide", "What was given up and why; replay it, purge it."),
    Verb("status", "m10actors.cli.status:status", "Look", "A running instance at a glance."),
    Verb("tree", "m10actors.cli.status:tree", "Look", "Its supervision tree: what runs, restarts, waits."),
    Verb("top", "m10actors.cli.top:top", "Look", "Both, live in the terminal."),
    Verb("audit", "m10actors.cli.audit:audit", "Look", "What happened and who did it; whether what is promised holds."),
    Verb("pause", "m10actors.cli.pausing:pause", "Operate", "Pause intake, delivery, jobs or actions, over restarts."),
    Verb("resume", "m10actors.cli.pausing:resume", "Operate", "Resume what was paused."),
    Verb(
        "drain",
        "m10actors.cli.pausing:drain",
        "Operate",
        "End an instance: what is in hand is finished or handed back.",
    ),
    Verb("jobs", "m10actors.cli.jobs:app", "Operate", "The operations jobs: due when, how it went; run one now."),
    Verb("doctor", "m10actors.cli.doctor:doctor", "Operate", "Look at Redis, print its ACL, set a restore right."),
    Verb("bench", "m10actors.cli.bench:bench", "Prove", "Measure the engine beside the limit of this machine."),
    Verb("chaos", "m10actors.cli.chaos:chaos", "Prove", "Faults under load on servers of its own, with the account."),
)


SETTINGS = (
    "Settings come from defaults, then the file of --config, then the environment, then flags: the last one "
    "wins. m10 config reference lists every key with its environment name and default; "
    "m10 config show --origin says where each value comes from."
)


class LazyGroup(TyperGroup):
    """Lists verbs without importing them; a verb that is called, or completed, is loaded."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:  # type: ignore[override]
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(next(verb for verb in VERBS if verb.name == name)), rest


def load(verb: Verb) -> Any:
    """The verb itself, in place of what stands for it in the list."""
    module, _, name = verb.target.partition(":")
    with collector.loading():
        found = getattr(importlib.import_module(module), name)
    holder = typer.Typer(cls=TyperGroup, rich_markup_mode="markdown")
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=verb.name)
    else:
        holder.command(verb.name)(found)
    command = typer.main.get_group(holder).commands[verb.name]
    _explain_settings(command)
    return command


def _explain_settings(command: Any) -> None:
    """Ends the help of each command that reads a configuration with where its settings come from."""
    for below in getattr(command, "commands", {}).values():
        _explain_settings(below)
    if any("--config" in parameter.opts for parameter in command.params):
        command.epilog = SETTINGS


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Turns the failures of a fleet into recovery actions and carries them out.",
    epilog="Exit codes: 0 done, 1 found something wrong, 2 wrong usage or configuration, 69 a store is unreachable, "
    "70 gave up.",
)


def main() -> None:
    """Runs the command and ends the process: never with a traceback, unless debug logging asks for it."""
    refuse_in_production()
    logs.setup(_log_level())
    try:
        app(prog_name="m10")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 (the outermost frame: whatever it is becomes one message and an exit code)
        from m10actors.cli.errors import explain

        sys.exit(explain(error))


def _log_level() -> Literal["debug", "info", "warning"]:
    """For verbs that are over soon; those that stay set up their log from the whole configuration."""
    match os.environ.get("M10_LOG_LEVEL", "").strip():
        case "debug" | "info" as level:
            return level
        case _:
            return "warning"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"m10 {m10actors.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Holds the options that come before the verb."""


def _listed() -> None:
    """Stands for a verb until it is loaded."""


for _verb in VERBS:
    app.command(_verb.name, help=_verb.sentence, rich_help_panel=_verb.panel)(_listed)
