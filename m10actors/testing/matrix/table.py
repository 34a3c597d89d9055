"""The account of a matrix, as text."""

from collections.abc import Iterator, Sequence

from m10actors.testing.matrix.rows import Absent, Ran, Row

_HEAD = ("from", "what", "passed", "failed", "skipped", "seconds")


def report(rows: Sequence[Row], what: str = "server") -> str:
    """A Markdown table of what ran, then why tests were skipped, which failed, and what could not be had. `what`: heads
    the first column.
    """
    ran = [row for row in rows if isinstance(row, Ran)]
    absent = [row for row in rows if isinstance(row, Absent)]
    blocks = [
        list(_table(ran, what)),
        list(_skips(ran)),
        list(_failures(ran)),
        [f"could not run on {row.server}: {row.reason}" for row in absent],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _table(ran: Sequence[Ran], what: str) -> Iterator[str]:
    if not ran:
        yield f"no {what} was found"
        return
    cells = [(what, *_HEAD), *map(_cells, ran)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    rule = "-|-".join("-" * width for width in widths)
    for line in (lines[0], rule, *lines[1:]):
        yield f"| {line} |" if line is not rule else f"|-{line}-|"


def _cells(row: Ran) -> tuple[str, ...]:
    counts = row.counts
    numbers = (counts.passed, len(counts.failed), counts.skipped.total(), round(counts.seconds))
    return row.server, row.source, row.part, *map(str, numbers)


def _skips(ran: Sequence[Ran]) -> Iterator[str]:
    for row in ran:
        for reason, count in row.counts.skipped.most_common():
            yield f"skipped on {row.server}, {row.part}: {count} × {reason}"


def _failures(ran: Sequence[Ran]) -> Iterator[str]:
    for row in ran:
        where = f"{row.server}, {row.part}"
        yield from (f"failed on {where}: {name}" for name in row.counts.failed)
        match row.counts.exit_code:
            case 0 | 1:
                pass
            case 5:
                yield f"failed on {where}: no test was selected"
            case code:
                yield f"failed on {where}: pytest ended with {code}"
