"""`m10 audit --check`: whether what is promised of the data holds."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.database import address
from m10actors.cli.errors import ExitCode, WrongUsage
from m10actors.config import Loaded
from m10actors.config.durations import duration
from m10actors.postgres import integrity
from m10actors.postgres.integrity import Found

_WORDS = {True: "holds", False: "broken", None: "unknown"}
_TOLD = 20
"""How many of what breaks a promise stand in a table; the document has up to a hundred."""

TimeoutOption = Annotated[
    str | None,
    typer.Option("--timeout", metavar="DURATION", help="With --check, for each promise. 30s where it is not given."),
]


def check(loaded: Loaded, timeout: str | None, *, as_json: bool) -> None:
    """Prints what was found, and ends with 1 unless all holds."""
    silent = [name for name, evaluator in loaded.settings.evaluators.items() if not evaluator.provenance]
    patience = integrity.TIMEOUT if timeout is None else _timeout(timeout)
    found = list(integrity.check(address(loaded, "ops"), silent=silent, timeout=patience))
    if as_json:
        output.document([_document(each) for each in found])
    else:
        output.table(("verdict", "promise", "broken by", "what"), map(_row, found))
    if not all(each.holds for each in found):
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _timeout(text: str) -> timedelta:
    try:
        found = duration(text)
    except ValueError as error:
        raise WrongUsage(f"--timeout: expected {error}, got {text!r}") from None
    if not found:
        raise WrongUsage(f"--timeout: expected a duration longer than nothing, got {text!r}")
    return found


def _document(found: Found) -> dict[str, object]:
    return asdict(found.invariant) | {
        "holds": found.holds,
        "broken_by": list(found.broken_by),
        "more": found.more,
        "unknown": found.unknown,
    }


def _row(found: Found) -> tuple[object, ...]:
    told = ", ".join(found.broken_by[:_TOLD])
    more = ", …" if found.more or len(found.broken_by) > _TOLD else ""
    ids = found.invariant.ids if found.broken_by else None
    return _WORDS[found.holds], found.invariant.promise, ids, found.unknown or told + more
