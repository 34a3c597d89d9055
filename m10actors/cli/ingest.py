"""`m10 ingest`: the failures in a file of JSON lines, reported to an instance or stored in its database."""

import os
import socket
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, assert_never

import typer

from m10actors import lines
from m10actors.cli import targets
from m10actors.cli.config import ConfigOption, JsonOption, SetOption, load
from m10actors.cli.errors import ExitCode, Unreachable, WrongUsage
from m10actors.cli.finding import find
from m10actors.cli.http_target import HttpTarget
from m10actors.cli.ingest_report import accounting, progress, rejects
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption, read_token, setting
from m10actors.cli.targets import Outcome, Refused, Target
from m10actors.config import durations
from m10actors.lines import Keys, Line, OneTimeKeys, Rejected, Reported
from m10actors.recovery.decoding import MAX_BATCH_ITEMS
from m10actors.recovery.file_keys import FileKeys

_STDIN = Path("-")


class Format(StrEnum):
    """What a line holds."""

    JSONL = "jsonl"


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines; - is standard input.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Report to the API at this http(s) address.")
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
    str, typer.Option("--retry-for", metavar="DURATION", help="How long a target that is unavailable is asked again.")
]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, max=MAX_BATCH_ITEMS, help="Lines sent at once.")]
FormatOption = Annotated[Format, typer.Option("--format", help="What a line holds.")]


def ingest(
    file: FileArgument,
    url: UrlOption = None,
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    source: SourceOption = "file",
    key_from: KeyFromOption = None,
    run_id: RunIdOption = None,
    rejects_file: RejectsOption = None,
    retry_for: RetryOption = "30s",
    batch_size: BatchOption = MAX_BATCH_ITEMS,
    _format: FormatOption = Format.JSONL,
    config_file: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reports each line of a file as a failure; the same file again counts nothing twice.

    They go to --url or --database; else to the instance of --data-dir or --instance; else into the database of the
    configuration; else to the instance of the nearest .m10 or of this user's run folder. A key inside a line wins over
    the key that a line of a file has by its place; lines of standard input have none, unless --key-from names it.
    """
    patience = _duration(retry_for)
    with _opened(file) as stream:
        found = lines.read(stream, source=source, keys=_keys(stream, file, run_id, key_from), key_field=key_from)
        with (
            closing(_target(url, database, data_dir, instance, token, token_file, config_file, assignments)) as target,
            rejects(rejects_file, file) as rejected,
            accounting(target.name, as_json=as_json) as account,
            progress(_size(stream)) as advance,
        ):
            for batch in lines.batches(found, batch_size):
                for line, outcome in _outcomes(target, batch, patience):
                    account.add(outcome)
                    if isinstance(outcome, Refused):
                        rejected.add(line, outcome)
                advance(sum(len(line.raw) + 1 for line in batch))
    raise typer.Exit(ExitCode.FOUND_WRONG if account.rejected else ExitCode.DONE)


def _outcomes(target: Target, batch: Sequence[Line], patience: timedelta) -> Iterator[tuple[Line, Outcome]]:
    """Sends what can be sent; each line of the batch with what became of it."""
    reported = [line for line in batch if isinstance(line, Reported)]
    sent = iter(targets.send(target, reported, patience) if reported else ())
    for line in batch:
        match line:
            case Reported():
                yield line, next(sent)
            case Rejected():
                problems = [{"code": p.code.value, "field": p.field, "message": p.message} for p in line.problems]
                yield line, Refused(tuple(problems))
            case _:
                assert_never(line)


def _target(
    url: str | None,
    database: str | None,
    data_dir: Path | None,
    instance: str | None,
    token: str | None,
    token_file: Path | None,
    config_file: Path | None,
    assignments: list[str] | None,
) -> Target:
    """Where the failures go, by what was named, else by the configuration, else to what runs nearby."""
    if url is not None:
        if database is not None or data_dir is not None or instance is not None:
            raise WrongUsage("--url names the target: leave --database, --data-dir and --instance out")
        return HttpTarget(url, read_token(token, token_file))
    loaded = load(config_file, assignments, **{"database.url": database})
    if database is None and (data_dir or instance or loaded.settings.database.url is None):
        found = find(loaded, data_dir, instance)
        if found.api is None:
            raise Unreachable(f"the instance {found.worker} does not say where its API listens")
        return HttpTarget(found.api, read_token(token, token_file, found.token_file))
    from m10actors.cli.database_target import DatabaseTarget  # brings the whole application with it

    return DatabaseTarget(loaded)


def _opened(file: Path) -> AbstractContextManager[BinaryIO]:
    if file == _STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}") from error


def _keys(stream: BinaryIO, file: Path, run_id: str | None, key_from: str | None) -> Keys:
    """By place for a file; for a pipe or standard input keys that only this run knows."""
    if run_id is not None and key_from is not None:
        raise WrongUsage("--run-id and --key-from exclude one another: one makes keys, the other finds them")
    if file != _STDIN and _size(stream) is not None:
        return FileKeys(socket.gethostname(), os.path.realpath(file), run_id=run_id or "")
    if run_id is not None:
        raise WrongUsage("--run-id goes with a file: lines of a pipe have no keys to make new")
    return OneTimeKeys()


def _size(stream: BinaryIO) -> int | None:
    """The bytes of a regular file; None for what has no end that is known."""
    state = os.fstat(stream.fileno())
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def _duration(text: str) -> timedelta:
    try:
        return durations.duration(text)
    except ValueError:
        raise WrongUsage(f"--retry-for: expected {durations.EXPECTED}") from None
