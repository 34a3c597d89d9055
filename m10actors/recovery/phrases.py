"""Parts of sentences for a person."""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

_SHOWN = 80
_UNITS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))


def one_of(names: Sequence[str]) -> str:
    """`a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def shown(text: str) -> str:
    """In quotes, on one line, and no longer than a line."""
    line = " ".join(text.split())
    return f'"{line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"}"'


def duration(window: timedelta) -> str:
    """A whole number of seconds in its largest unit: `90 s`, `2 min`."""
    seconds = window // timedelta(seconds=1)
    unit, size = next((each for each in (("d", 86_400), ("h", 3_600), ("min", 60)) if seconds % each[1] == 0), ("s", 1))
    return f"{seconds // size} {unit}"


def counted(number: int, thing: str) -> str:
    """`1 time`, `2 times`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def span(length: timedelta) -> str:
    """In its largest unit, and the next one where that says more: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`; part of a
    unit counts as a whole one, so that nothing that has not ended is said to have.
    """
    seconds = ceil(max(length, timedelta(0)) / timedelta(seconds=1))
    for unit, size, smaller, fraction in _UNITS:
        if seconds >= size:
            whole, rest = divmod(ceil(seconds / fraction), size // fraction)
            return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"
    return f"{seconds} s"
