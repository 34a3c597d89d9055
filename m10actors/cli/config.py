"""`m10 config`: check a configuration, show it, print the reference."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from m10actors import config
from m10actors.cli.flags import ConfigOption, JsonOption, SetOption
from m10actors.config import reference
from m10actors.config.errors import Problem

__all__ = ["ConfigOption", "JsonOption", "SetOption", "app", "assignments_of", "load"]

app = typer.Typer(no_args_is_help=True, help="Check the configuration, show it, print its reference.")


def load(file: Path | None, assignments: list[str] | None = None, **flags: object) -> config.Loaded:
    """Settings for a verb: the file, this process' environment, `--set` assignments; raises ConfigError."""
    return config.load(file, os.environ, assignments_of(assignments) | flags)


def assignments_of(assignments: list[str] | None) -> dict[str, object]:
    """`--set KEY=VALUE` as flags."""
    return dict(_assignment(text) for text in assignments or ())


@app.command()
def check(file: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """Checks everything, the rule file and evaluators too, and says ok, or all that is wrong."""
    loaded = _load_or_exit(file, assignments, as_json=as_json, with_code=True)
    if as_json:
        typer.echo(json.dumps({"ok": True, "problems": [], "notices": loaded.notices}))
        return
    for notice in loaded.notices:
        typer.echo(f"notice: {notice}", err=True)
    typer.echo("ok")


@app.command()
def show(
    file: ConfigOption = None,
    assignments: SetOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="Says where each value comes from.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Prints every setting as it would be used, without its secrets."""
    current = list(reference.current(_load_or_exit(file, assignments, as_json=as_json)))
    if as_json:
        values = {key: {"value": value, "origin": source} if origin else value for key, value, source in current}
        typer.echo(json.dumps(values, indent=2))
        return
    for key, value, source in current:
        typer.echo(f"{key} = {reference.literal(value) or '(not set)'}" + (f"  # {source}" if origin else ""))


@app.command("reference")
def print_reference(as_json: JsonOption = False) -> None:
    """Prints the page about all keys, in Markdown."""
    typer.echo(json.dumps(reference.described(), indent=2) if as_json else reference.reference(), nl=as_json)


def _load_or_exit(
    file: Path | None, assignments: list[str] | None, *, as_json: bool, with_code: bool = False
) -> config.Loaded:
    try:
        loaded = load(file, assignments)
        if with_code:
            _make(loaded)
    except config.ConfigError as error:
        if as_json:
            problems = [
                {"key": item.key, "expected": item.expected, "got": item.got, "origin": item.origin}
                for item in error.problems
            ]
            typer.echo(json.dumps({"ok": False, "problems": problems, "notices": []}))
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    return loaded


def _make(loaded: config.Loaded) -> None:
    """What the engine makes of them at its start; ConfigError where it could not. Few verbs need what it imports."""
    from m10actors.application import evaluators
    from m10actors.evaluators.loading import InvalidEvaluator
    from m10actors.rulebook import configured

    configured(loaded.settings.decisions)
    try:
        evaluators.chain(loaded.settings)
    except InvalidEvaluator as error:
        key = "decisions.evaluators"
        problem = Problem(key, "evaluators that can be made", str(error), loaded.origins[key])
        raise config.ConfigError([problem]) from error


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter("--set wants KEY=VALUE")
    return key.strip(), value.strip()
