"""What JSON values may contain so that PostgreSQL stores them and Python reads them back.

PostgreSQL refuses NUL and lone surrogates in jsonb, and stores depths and integers that Python cannot read again.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from m10actors.recovery.problems import Code, Problem

MAX_DEPTH = 64
MAX_KEYS = 256
MAX_KEY_BYTES = 128

_SHOWN_KEY = 40

# The way to a value: its container's path and its key or index there; None for the outermost value.
_Path: TypeAlias = tuple[Any, object] | None
_Container: TypeAlias = dict[Any, object] | list[object]


def content_problems(value: object) -> Iterator[Problem]:
    """Everything in `value` that cannot be stored, outermost first.

    Goes level by level and never recurses, so that no nesting exhausts the stack.
    """
    if not _is_plain(value):
        yield from _own_problems(value, None)
    level: list[tuple[_Container, _Path]] = [(value, None)] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        inner: list[tuple[_Container, _Path]] = []
        for node, path in level:
            for key, child in node.items() if isinstance(node, dict) else enumerate(node):
                if isinstance(child, (dict, list)):
                    inner.append((child, (path, key)))
                if not _is_plain(child):
                    yield from _own_problems(child, (path, key))
        level = inner
    if level:
        yield Problem(Code.TOO_DEEP, "", f"is nested deeper than {MAX_DEPTH} levels")


def is_int64(number: int) -> bool:
    """Whether a bigint holds it. No `in range(…)`: that counts up to an IntEnum, which is an int too."""
    return -(2**63) <= number < 2**63


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes `text`: no NUL, no lone surrogate."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_plain(node: object) -> bool:
    """Whether nothing is wrong with a value itself, told at once; of the keys of a dict, only whether all are short."""
    if isinstance(node, str):
        return is_storable(node)
    if isinstance(node, dict):
        return _are_plain(node)
    if isinstance(node, int):
        return is_int64(node)
    return node is None or isinstance(node, list) or (isinstance(node, float) and math.isfinite(node))


def _are_plain(names: Iterable[Any]) -> bool:
    try:
        joined = "".join(names)
    except TypeError:
        return False
    return len(joined) <= MAX_KEY_BYTES and joined.isascii() and "\x00" not in joined


def _own_problems(node: object, path: _Path) -> Iterator[Problem]:
    """What is wrong with a value that is not plain."""
    if isinstance(node, str):
        yield from _text_problems(node, path)
    elif isinstance(node, dict):
        yield from _key_problems(node, path)
    else:
        yield _scalar_problem(node, path)


def _text_problems(text: str, path: _Path) -> Iterator[Problem]:
    before, nul, _ = text.partition("\x00")
    if nul:
        at = len(before.encode("utf-8", "surrogatepass"))
        yield Problem(Code.INVALID_TEXT, _written(path), f"contains NUL at byte {at}")
    if not is_storable(text.replace("\x00", "")):
        yield Problem(Code.INVALID_UNICODE, _written(path), "contains a lone surrogate")


def _key_problems(node: dict[object, object], path: _Path) -> Iterator[Problem]:
    if len(node) > MAX_KEYS:
        yield Problem(Code.TOO_MANY_KEYS, _written(path), f"has {len(node)} keys, at most {MAX_KEYS} are taken")
    for key in node:
        if not isinstance(key, str):
            yield Problem(Code.INVALID_TYPE, _written((path, key)), "is a key that is no string")
        elif not is_storable(key):
            yield from _text_problems(key, (path, key))
        elif len(key.encode()) > MAX_KEY_BYTES:
            yield Problem(Code.TOO_LONG, _written((path, key)), f"is a key of more than {MAX_KEY_BYTES} bytes")


def _scalar_problem(node: object, path: _Path) -> Problem:
    if isinstance(node, int):
        return Problem(Code.OUT_OF_RANGE, _written(path), "is an integer outside -2^63 .. 2^63-1")
    if not isinstance(node, float):
        return Problem(Code.INVALID_TYPE, _written(path), f"is a {type(node).__name__}, which JSON does not have")
    if math.isnan(node):
        return Problem(Code.INVALID_NUMBER, _written(path), "is not a number")
    return Problem(Code.OUT_OF_RANGE, _written(path), "is a number outside the range of a 64-bit float")


def _written(path: _Path) -> str:
    """`failure_payload.meta['a b'][3]`: ASCII without control characters, whatever the keys contain."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        if not isinstance(step, str):
            steps.append(f"[{ascii(step)[:_SHOWN_KEY]}]")
        elif step.isascii() and step.isidentifier() and len(step) <= _SHOWN_KEY:
            steps.append(f".{step}")
        else:
            steps.append(f"[{step[:_SHOWN_KEY]!a}]")
    return "".join(reversed(steps)).removeprefix(".")
