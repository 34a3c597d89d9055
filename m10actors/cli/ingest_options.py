"""The options of `m10 ingest`; those about what a line holds are the demo's too."""

from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli.ingest_input import Format
from m10actors.cli.options import setting
from m10actors.loglines.levels import FAILURE_LEVELS
from m10actors.recovery.decoding import MAX_BATCH_ITEMS

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Failures, or a log, also gzipped; - is standard input.")
]
UrlOption = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Report to the API at this http(s) address.")
]
CaFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="With --url: PEM file of the authorities to trust instead of the system's.",
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help=f"Store in PostgreSQL itself. {setting('database.url')}"),
]
SourceOption = Annotated[str, typer.Option("--source", metavar="NAME", help="Source of lines that name none.")]
KeyFromOption = Annotated[
    str | None,
    typer.Option("--key-from", metavar="FIELD", help="Field that holds the idempotency key, such as meta.id."),
]
RunIdOption = Annotated[
    str | None, typer.Option("--run-id", metavar="TEXT", help="Makes all keys of the file new: each line counts again.")
]
RejectsOption = Annotated[
    Path | None,
    typer.Option("--rejects", metavar="FILE", dir_okay=False, help="Write rejected lines and reasons here."),
]
RetryOption = Annotated[
    str | None,
    typer.Option(
        "--retry-for",
        metavar="DURATION",
        help="How long a target that is unavailable is asked again; default 30s, with --follow without end.",
        show_default=False,
    ),
]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, max=MAX_BATCH_ITEMS, help="Failures sent at once.")]
FormatOption = Annotated[
    Format, typer.Option("--format", help="What a line holds: a JSON failure, a line of a log, an entry of journald.")
]
LevelsOption = Annotated[
    str,
    typer.Option(
        "--levels",
        metavar="WORDS",
        help=f"Levels of log and journald that make a line a failure; default {', '.join(FAILURE_LEVELS)}.",
        show_default=False,
    ),
]
PatternOption = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="REGEX",
        help="First line of a log's record, with named groups: level, message, source, logger, time (RE2).",
    ),
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Wait for more lines until SIGTERM or SIGINT.")]
QuietOption = Annotated[
    str,
    typer.Option("--quiet", metavar="DURATION", help="With --follow: so long may a failure's next line take to come."),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        file_okay=False,
        envvar="STATE_DIRECTORY",
        help="With --follow: where the position is kept; default $XDG_STATE_HOME/m10, or ~/.local/state/m10.",
        show_default=False,
    ),
]
DEFAULT_LEVELS = ",".join(FAILURE_LEVELS)
