"""What verbs print on standard output: one JSON document, or tables, drawn on a terminal and plain elsewhere."""

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from m10actors import logs

KEPT_WHOLE: Final = 40
"""Letters of a column of single words that no narrow terminal breaks: an id can always be copied."""
NARROWEST_TEXT: Final = 16
"""Letters that are left to a column of sentences."""

_GIST: Final = 120
_POINTS: Final = str.maketrans("", "", ",.")


@dataclass(frozen=True, slots=True)
class When:
    """A moment that is read from now: `5m` ago or `in 5m` on a terminal, the moment itself elsewhere."""

    moment: datetime | None

    def text(self, *, drawn: bool) -> str:
        if self.moment is None:
            return "-"
        return _from_now(self.moment) if drawn else _to_the_second(self.moment)


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things: `12,345` on a terminal, its digits elsewhere."""

    number: int

    def text(self, *, drawn: bool) -> str:
        return f"{self.number:,}" if drawn else str(self.number)


@dataclass(frozen=True, slots=True)
class Gist:
    """A sentence that may be long: its beginning on a terminal, all of it elsewhere."""

    sentence: str

    def text(self, *, drawn: bool) -> str:
        return textwrap.shorten(self.sentence, _GIST, placeholder=" …") if drawn else self.sentence


def document(value: object) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def line(value: object) -> None:
    """One JSON document of many, in a line of its own."""
    sys.stdout.write(json.dumps(value, default=_plain) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their columns. In a pipe or a file: tab-separated, the names of the columns first, `-` for nothing."""
    _print([list(columns)], [list(row) for row in rows])


def record(title: str, fields: Mapping[str, object]) -> None:
    """One thing in full: its title, and a line for each field that says something."""
    heading(title)
    _print([], [[name, value] for name, value in fields.items() if value not in (None, "", (), [], {})])


def section(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table under a title, after an empty line; nothing at all without rows."""
    if rows:
        sys.stdout.write("\n")
        heading(title)
        table(columns, rows)


def heading(title: str) -> None:
    """The title of what follows."""
    sys.stdout.write(logs.escape(title) + "\n")


def text(title: str, lines: Iterable[str]) -> None:
    """Sentences under a title, after an empty line."""
    sys.stdout.write("\n")
    heading(title)
    sys.stdout.writelines(f"  {logs.escape(line)}\n" for line in lines)


def pretty(title: str, value: object) -> None:
    """A JSON value under a title, as indented text in which nothing but our own line breaks controls a terminal."""
    sys.stdout.write("\n")
    heading(title)
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write("\n".join(map(logs.escape, text.splitlines())) + "\n")


def note(text: str) -> None:
    """A line for the person at the terminal, beside the output."""
    sys.stderr.write(logs.escape(text) + "\n")


def age(span: timedelta) -> str:
    """`span` in its largest unit, and the next one where that says more: `42s`, `5m`, `3h 20m`, `2d 4h`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size, smaller, fraction in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60)):
        if seconds >= size:
            rest = seconds % size // fraction
            return f"{seconds // size}{unit}" + (f" {rest}{smaller}" if rest else "")
    return f"{seconds // 60}m" if seconds >= 60 else f"{seconds}s"


def _print(head: list[Sequence[str]], rows: list[list[object]]) -> None:
    is_terminal = sys.stdout.isatty()
    texts = [[_text(cell, drawn=is_terminal) for cell in row] for row in rows]
    if is_terminal:
        _draw(head, texts)
    else:
        sys.stdout.writelines("\t".join(cells) + "\n" for cells in [*head, *texts])


def _text(cell: object, *, drawn: bool) -> str:
    match cell:
        case None | "":
            return "-"
        case When() | Count() | Gist():
            return logs.escape(cell.text(drawn=drawn))
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:.1f}"
        case datetime():
            return _to_the_second(cell)
        case list() | dict():
            return logs.escape(json.dumps(cell, ensure_ascii=False, default=_plain))
        case _:
            return logs.escape(str(cell))


def _from_now(moment: datetime) -> str:
    past = datetime.now(UTC) - moment
    return age(past) if past >= timedelta(0) else f"in {age(-past)}"


def _to_the_second(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _plain(value: object) -> str:
    """What JSON has no form for: a moment in ISO 8601, in UTC; a UUID."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID():
            return str(value)
        case _:
            raise TypeError(f"no JSON: {type(value).__name__}")


def _draw(head: list[Sequence[str]], rows: Sequence[Sequence[str]]) -> None:
    """As wide as the terminal; where that is too narrow for words that are kept whole, lines run on instead."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False, show_header=bool(head))
    for cells in zip(*head, *rows, strict=True):
        most = NARROWEST_TEXT if any(" " in cell for cell in cells) else KEPT_WHOLE
        is_figures = all(cell.translate(_POINTS).isdecimal() for cell in cells[len(head) :] if cell != "-")
        drawn.add_column(
            cells[0] if head else "",
            min_width=min(max(map(len, cells)), most),
            overflow="fold",
            justify="right" if head and is_figures else "left",
        )
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn, crop=False)
