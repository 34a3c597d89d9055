"""Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`."""

import re
from datetime import timedelta

EXPECTED = "a duration such as 500ms, 30s, 5m, 2h or 7d"

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_FORM = re.compile(r"([0-9]{1,17})(?:\.([0-9]{1,3}))?(ms|s|m|h|d)")


def duration(text: str) -> timedelta:
    """The duration that `text` states, to the millisecond; else ValueError, which says what is expected."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(EXPECTED)
    whole, decimals, unit = form.groups()
    thousandths = int(whole) * 1000 + int((decimals or "").ljust(3, "0"))
    milliseconds, rest = divmod(thousandths * (_UNITS[unit] // _UNITS["ms"]), 1000)
    if rest:
        raise ValueError("a duration of whole milliseconds")
    try:
        return timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise ValueError(EXPECTED) from error


def render(value: timedelta) -> str:
    """`value` in the largest unit that divides it; what `duration` reads back, rounded down to milliseconds."""
    for unit, size in _UNITS.items():
        if value % size == timedelta(0) and value:
            return f"{value // size}{unit}"
    return f"{value // _UNITS['ms']}ms"
