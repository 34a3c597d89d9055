"""What verbs share that list things, show one of them, and do something about some."""

import os
import pwd
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from m10actors.cli import output
from m10actors.cli.errors import WrongUsage
from m10actors.config import durations
from m10actors.postgres.inspection import SEARCHED, Listed

LONGEST_NOTE: Final = 4000
"""Characters of a note, as `POST /approve` takes them."""
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_WHEN: Final = "a duration back from now, such as 2h or 7d, or a moment with its offset, such as 2026-01-31T08:00Z"


def since(text: str) -> datetime:
    """The moment that `--since` means."""
    try:
        moment = datetime.now(UTC) - durations.duration(text)
    except (ValueError, OverflowError):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise typer.BadParameter(f"expected {_WHEN}, not {text!r}") from None
    if moment.tzinfo is None or not _EARLIEST <= moment < _LATEST:
        raise typer.BadParameter(f"expected {_WHEN}, in this century, not {text!r}")
    return moment


IdArgument = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="Its number in the list.")]
IdsArgument = Annotated[list[int], typer.Argument(metavar="ID…", min=1, max=2**63 - 1, help="Numbers in the list.")]
SinceOption = Annotated[
    datetime | None, typer.Option("--since", metavar="WHEN", parser=since, help=f"Not before: {_WHEN}.")
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", metavar="WHEN", parser=since, help=f"Before: {_WHEN}.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them, however many, whatever --limit says.")]


def note(text: str | None) -> str | None:
    """What the operator says about it; WrongUsage for more than the API takes."""
    if text is not None and len(text) > LONGEST_NOTE:
        raise WrongUsage(f"a note has at most {LONGEST_NOTE} characters, this one has {len(text)}")
    return text


def operator() -> str:
    """Who acts, as the records name them: the user of this process."""
    try:
        return f"local:{pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"local:{os.geteuid()}"


def say_more(listed: Listed[Any], which: str = "first") -> None:
    """Says on standard error what the list leaves out; it has the `which` ones."""
    if not listed.rows and listed.searched_all:
        output.note("none")
    elif listed.more:
        output.note(f"the {which} {len(listed.rows):,}; there are more: --limit or --all")
    elif not listed.searched_all:
        output.note(f"found among the {which} {SEARCHED:,}; --all looks at all of them, however long that takes")
