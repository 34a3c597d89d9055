"""JSON bytes from outside → Python values, with every limit checked before it can hurt."""

import json
import math
from collections.abc import Iterable
from itertools import islice

from m10actors.recovery.content import MAX_DEPTH, content_problems
from m10actors.recovery.nesting import is_deeper
from m10actors.recovery.problems import Code, InvalidFailure, Problem

MAX_BODY_BYTES = 256 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ITEMS = 1_000
MAX_PROBLEMS = 20

_INT64_DIGITS = 20  # of the longest int64, with its sign


def decode(
    raw: bytes, *, max_bytes: int = MAX_BODY_BYTES, unique_keys: bool = True, check_contents: bool = True
) -> object:
    """The JSON value in `raw`, which PostgreSQL can store and Python can read back.

    Raises InvalidFailure for what is too large, too deep, not UTF-8, no JSON, repeats a key (with `unique_keys`), or
    contains NUL, lone surrogates, NaN, Infinity, or numbers outside int64 and float64 (with the JSON path of each).
    Without `check_contents` what it contains is left to the caller, who stores only some of it.
    """
    value = _loads(raw, max_bytes, MAX_DEPTH, unique_keys)
    if check_contents:
        refuse(content_problems(value))
    return value


def decode_batch(raw: bytes, *, max_bytes: int = MAX_BATCH_BYTES, max_items: int = MAX_BATCH_ITEMS) -> list[object]:
    """The items of a JSON array of 1 .. `max_items`.

    What they contain is left to `parse`, so that one bad item spoils only itself.
    """
    value = _loads(raw, max_bytes, MAX_DEPTH + 1, unique_keys=False)
    if not isinstance(value, list):
        raise InvalidFailure(Problem(Code.INVALID_TYPE, "", "a batch is a JSON array of failures"))
    if not 1 <= len(value) <= max_items:
        raise InvalidFailure(
            Problem(Code.OUT_OF_RANGE, "", f"a batch has 1 .. {max_items} items, this one has {len(value)}")
        )
    return value


def refuse(problems: Iterable[Problem]) -> None:
    """Raises InvalidFailure with the first MAX_PROBLEMS of `problems`, if there are any."""
    if found := tuple(islice(problems, MAX_PROBLEMS)):
        raise InvalidFailure(*found)


def _loads(raw: bytes, max_bytes: int, max_depth: int, unique_keys: bool) -> object:
    text = _text(raw, max_bytes, max_depth)
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            seen: set[str] = set()
            repeated.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return fields

    try:
        value: object = json.loads(
            text,
            parse_int=_integer,
            parse_constant=lambda _: math.nan,
            object_pairs_hook=unique if unique_keys else None,
        )
    except json.JSONDecodeError as error:
        raise InvalidFailure(Problem(Code.INVALID_JSON, "", f"no JSON at character {error.pos}: {error.msg}")) from None
    refuse(Problem(Code.DUPLICATE_KEY, ascii(key[:40]), "stands twice in one object") for key in repeated)
    return value


def _text(raw: bytes, max_bytes: int, max_depth: int) -> str:
    """`raw` as text that a recursive parser may read."""
    if len(raw) > max_bytes:
        raise InvalidFailure(Problem(Code.TOO_LARGE, "", f"has {len(raw)} bytes, at most {max_bytes} are taken"))
    if not raw.strip():
        raise InvalidFailure(Problem(Code.OBJECT_EXPECTED, "", "is empty"))
    if (at := raw.find(b"\x00")) >= 0:
        raise InvalidFailure(Problem(Code.INVALID_TEXT, "", f"contains NUL at byte {at}"))
    if is_deeper(raw, max_depth):
        raise InvalidFailure(Problem(Code.TOO_DEEP, "", f"is nested deeper than {max_depth} levels"))
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidFailure(Problem(Code.INVALID_UNICODE, "", f"is not UTF-8 at byte {error.start}")) from None


def _integer(digits: str) -> int | float:
    """An integer, or infinity (refused as out of range later) for one so long that even converting it would cost."""
    return int(digits) if len(digits) <= _INT64_DIGITS else math.inf
