"""What `m10 ingest` tells: how far it is, which lines were rejected and why, and the account at the end."""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO, assert_never

from m10actors.cli import output
from m10actors.cli.errors import WrongUsage
from m10actors.client.results import Outcome, Rejected, Stored
from m10actors.lines import Line, Reported, Tally

SHOWN_REJECTS = 5


@dataclass(slots=True)
class Account:
    """What became of what was found: accepted + duplicates + rejected = sent.

    `accepted`: failures that counted; `opened`: those among them that opened a candidate; `duplicates`: keys that had
    been seen, and changed nothing.
    """

    sent: int = 0
    accepted: int = 0
    opened: int = 0
    duplicates: int = 0
    rejected: int = 0

    def add(self, outcome: Outcome) -> None:
        self.sent += 1
        match outcome:
            case Rejected():
                self.rejected += 1
            case Stored(counted=True):
                self.accepted += 1
                self.opened += outcome.status == "accepted"
            case Stored():
                self.duplicates += 1
            case _:
                assert_never(outcome)


@contextmanager
def accounting(target: str, tally: Tally, *, as_json: bool) -> Iterator[Account]:
    """An account that is printed at the end, also where an error or Ctrl-C ends the run before the input does."""
    account, started, complete = Account(), time.monotonic(), False
    try:
        yield account
        complete = True
    finally:
        seconds = round(time.monotonic() - started, 3)
        if as_json:
            told = asdict(account) | asdict(tally) | {"complete": complete, "target": target, "seconds": seconds}
            output.document(told)
        else:
            print(
                f"{'' if complete else 'stopped after '}{_lines(account, tally)} in {seconds:.1f} s, to {target}: "
                f"{account.accepted} accepted ({account.opened} new candidates), {account.duplicates} duplicates, "
                f"{account.rejected} rejected"
            )


def _lines(account: Account, tally: Tally) -> str:
    """How many lines were dealt with; of a log also what they were beside failures."""
    others = (
        (tally.ignored, "tell of no failure"),
        (tally.joined, "belong to the failure before them"),
        (tally.by_words, "are failures by their words, for want of a level"),
    )
    told = ", ".join(f"{count} {what}" for count, what in others if count)
    return f"{account.sent + tally.joined + tally.ignored} lines" + (f" ({told})" if told else "")


class Rejects:
    """Rejected lines: the first few on standard error, all of them in a file of JSON lines where there is one."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._shown = 0

    def add(self, line: Line, outcome: Rejected) -> None:
        if self._shown < SHOWN_REJECTS:
            output.note(f"line {line.number} rejected: {'; '.join(map(str, outcome.problems))}")
        elif self._shown == SHOWN_REJECTS:
            output.note("more lines are rejected" + ("" if self._file else "; --rejects FILE keeps them all"))
        self._shown += 1
        if self._file is not None:
            entry = {"line": line.number, "problems": [asdict(each) for each in outcome.problems], **_content(line)}
            self._file.write(json.dumps(entry) + "\n")


@contextmanager
def rejects(path: Path | None, source: Path) -> Iterator[Rejects]:
    """Opens the file, readable by its owner only: what a line holds may be private. An older one is overwritten."""
    if path is None:
        yield Rejects(None)
        return
    try:
        if path.exists() and source.exists() and path.samefile(source):
            raise WrongUsage("--rejects names the input itself")
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w")
    except OSError as error:
        raise WrongUsage(f"--rejects {path} cannot be written: {error.strerror}") from error
    with file:
        yield Rejects(file)


@contextmanager
def progress(total_bytes: int | None) -> Iterator[Callable[[int], object]]:
    """A bar on standard error if that is a terminal; tell it how many bytes are done. Without a total it only moves."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeElapsedColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total_bytes)
        yield lambda done: bar.update(task, completed=done)


def _content(line: Line) -> dict[str, object]:
    """The line as text, or in base64 where it is none; `bytes` where it was too long and is cut."""
    cut = {"bytes": line.size} if not isinstance(line, Reported) and line.size > len(line.raw) else {}
    try:
        return {"raw": line.raw.decode(), **cut}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(line.raw).decode(), **cut}
