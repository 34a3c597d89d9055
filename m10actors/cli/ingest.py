"""`m10 ingest`: the failures in a file of JSON lines, a log or a journal, reported to an instance or stored in its
database.
"""

import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import assert_never

import typer

from m10actors.cli import output, targets
from m10actors.cli.config import ConfigOption, JsonOption, SetOption, load
from m10actors.cli.errors import ExitCode, Unreachable, WrongUsage
from m10actors.cli.finding import find
from m10actors.cli.http_target import HttpTarget
from m10actors.cli.ingest_follow import follow
from m10actors.cli.ingest_input import STDIN, Format, Reading, failures, keys_of, opened
from m10actors.cli.ingest_options import (
    DEFAULT_LEVELS,
    BatchOption,
    CaFileOption,
    DatabaseOption,
    FileArgument,
    FollowOption,
    FormatOption,
    KeyFromOption,
    LevelsOption,
    PatternOption,
    QuietOption,
    RejectsOption,
    RetryOption,
    RunIdOption,
    SourceOption,
    StateDirOption,
    UrlOption,
)
from m10actors.cli.ingest_report import Account, Rejects, accounting, progress, rejects
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption, read_token
from m10actors.cli.process import Life
from m10actors.cli.targets import Target
from m10actors.client import results
from m10actors.client.items import rejected_for
from m10actors.config import durations
from m10actors.lines import Line, Rejected, Reported, batches
from m10actors.recovery.decoding import MAX_BATCH_ITEMS


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends failures in batches, and accounts for each line."""

    target: Target
    account: Account
    rejected: Rejects
    batch_size: int
    patience: timedelta | None
    life: Life

    def deliver(self, found: Iterable[Line]) -> None:
        """Each line is stored, or refused and kept, once this returns."""
        for batch in batches(found, self.batch_size):
            self._send(batch)

    def _send(self, batch: Sequence[Line]) -> None:
        reported = [line for line in batch if isinstance(line, Reported)]
        sent = iter(targets.send(self.target, reported, self.patience, self.life) if reported else ())
        for line in batch:
            match line:
                case Reported():
                    outcome = next(sent)
                case Rejected():
                    outcome = rejected_for(line.problems)
                case _:
                    assert_never(line)
            self.account.add(outcome)
            if isinstance(outcome, results.Rejected):
                self.rejected.add(line, outcome)


def ingest(
    file: FileArgument,
    url: UrlOption = None,
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    ca_file: CaFileOption = None,
    format: FormatOption = Format.JSONL,  # noqa: A002
    levels: LevelsOption = DEFAULT_LEVELS,
    pattern: PatternOption = None,
    source: SourceOption = "file",
    key_from: KeyFromOption = None,
    run_id: RunIdOption = None,
    follow_file: FollowOption = False,
    quiet: QuietOption = "1s",
    state_dir: StateDirOption = None,
    rejects_file: RejectsOption = None,
    retry_for: RetryOption = None,
    batch_size: BatchOption = MAX_BATCH_ITEMS,
    config_file: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reports the failures of a file: of JSON lines each one, of a log or a journal those that are bad enough.

    They go to --url or --database; else to the instance of --data-dir or --instance; else into the database of the
    configuration; else to the instance of the nearest .m10 or of this user's run folder. A key inside a line wins over
    the key that a line of a file has by its place; lines of standard input have none, unless --key-from names it.
    """
    reading = Reading(format, source, levels, pattern, key_from)
    form, life = reading.form(), Life()
    patience = None if follow_file and retry_for is None else _duration("--retry-for", retry_for or "30s")
    pause = _duration("--quiet", quiet)
    with ExitStack() as input_:
        given = input_.enter_context(opened(file))
        keys = keys_of(given, file, run_id, key_from)
        if follow_file:
            if file == STDIN or given.size is None or given.is_gzipped:
                raise WrongUsage("--follow goes with a plain file: pipes have no position, gzipped files do not grow")
            input_.close()
        with (
            closing(
                _target(url, ca_file, database, data_dir, instance, token, token_file, config_file, assignments)
            ) as target,
            rejects(rejects_file, file) as rejected,
            accounting(target.name, form.tally, as_json=as_json) as account,
            progress(None if follow_file else given.size) as advance_to,
        ):
            sending = Sending(target, account, rejected, batch_size, patience, life)
            if follow_file:
                follow(file, form, run_id, state_dir, pause, sending.deliver, target.name, life)
            else:
                with _ended_by_sigterm():
                    sending.deliver(failures(given, form, keys, file, advance_to))
    if format is not Format.JSONL and not follow_file and account.sent == account.rejected:
        output.note(f"no failure found in {file}")
        raise typer.Exit(ExitCode.FOUND_WRONG)
    raise typer.Exit(ExitCode.FOUND_WRONG if account.rejected else ExitCode.DONE)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends what is under way as Ctrl-C does, so that the account of what was done is printed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _target(
    url: str | None,
    ca_file: Path | None,
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
        return HttpTarget(url, read_token(token, token_file), ca_file)
    if ca_file is not None:
        raise WrongUsage("--ca-file goes with --url")
    loaded = load(config_file, assignments, **{"database.url": database})
    if database is None and (data_dir or instance or loaded.settings.database.url is None):
        found = find(loaded, data_dir, instance)
        if found.api is None:
            raise Unreachable(f"the instance {found.worker} does not say where its API listens")
        return HttpTarget(found.api, read_token(token, token_file, found.token_file))
    from m10actors.cli.database_target import DatabaseTarget  # brings the whole application with it

    return DatabaseTarget(loaded)


def _duration(option: str, text: str) -> timedelta:
    try:
        return durations.duration(text)
    except ValueError:
        raise WrongUsage(f"{option}: expected {durations.EXPECTED}") from None
