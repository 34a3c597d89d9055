"""Arrays as parameters."""

from collections.abc import Iterable


def text_array(values: Iterable[str | None]) -> str:
    """The literal of a text[]. psycopg takes a list apart with a regular expression for each element: of long texts
    that costs fifty times as much.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
