"""What verbs print on standard output: one JSON document, or a table, drawn on a terminal and plain elsewhere."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from m10actors import logs


def document(value: object) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, default=_moment) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their columns. In a pipe or a file: tab-separated, the names of the columns first, `-` for nothing."""
    texts = [[_text(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, texts)
    else:
        sys.stdout.writelines("\t".join(cells) + "\n" for cells in [list(columns), *texts])


def note(text: str) -> None:
    """A line for the person at the terminal, beside the output."""
    sys.stderr.write(logs.escape(text) + "\n")


def _text(cell: object) -> str:
    match cell:
        case None | "":
            return "-"
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:.1f}"
        case datetime():
            return _moment(cell)
        case _:
            return logs.escape(str(cell))


def _moment(value: object) -> str:
    """A moment in ISO 8601, in UTC; JSON has no form for it."""
    if not isinstance(value, datetime):
        raise TypeError(f"no JSON: {type(value).__name__}")
    return value.astimezone(UTC).isoformat(timespec="seconds")


def _draw(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for cells in rows:
        drawn.add_row(*map(Text, cells))
    Console().print(drawn)
