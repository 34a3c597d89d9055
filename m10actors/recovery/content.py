"""What JSON values may contain so that PostgreSQL stores them and Python reads them back.

PostgreSQL refuses NUL and lone surrogates in jsonb, and stores depths and integers that Python cannot read again.
"""

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

from m10actors.recovery.problems import Code, Problem

MAX_DEPTH = 64
MAX_KEYS = 256
MAX_KEY_BYTES = 128
INT64 = range(-(2**63), 2**63)

_SHOWN_KEY = 40

# The way to a value: its container's path and its key or index there; None for the outermost value.
_Path: TypeAlias = tuple[Any, object] | None


def content_problems(value: object) -> Iterator[Problem]:
    """Everything in `value` that cannot be stored, outermost first.

    Goes level by level and never recurses, so that no nesting exhausts the stack.
    """
    level: list[tuple[object, _Path]] = [(value, None)]
    depth = 0
    while level:
        inner: list[tuple[object, _Path]] = []
        for node, path in level:
            if isinstance(node, str):
                if not is_storable(node):
                    yield from _text_problems(node, path)
            elif isinstance(node, dict):
                yield from _key_problems(node, path)
                inner += [(child, (path, key)) for key, child in node.items()]
            elif isinstance(node, list):
                inner += [(child, (path, index)) for index, child in enumerate(node)]
            else:
                yield from _scalar_problems(node, path)
        level = inner
        depth += 1
        if depth > MAX_DEPTH and any(isinstance(node, dict | list) for node, _ in level):
            yield Problem(Code.TOO_DEEP, "", f"is nested deeper than {MAX_DEPTH} levels")
            return


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


def _scalar_problems(node: object, path: _Path) -> Iterator[Problem]:
    if node is None or isinstance(node, bool):
        return
    if isinstance(node, int):
        if node not in INT64:
            yield Problem(Code.OUT_OF_RANGE, _written(path), "is an integer outside -2^63 .. 2^63-1")
    elif not isinstance(node, float):
        yield Problem(Code.INVALID_TYPE, _written(path), f"is a {type(node).__name__}, which JSON does not have")
    elif math.isnan(node):
        yield Problem(Code.INVALID_NUMBER, _written(path), "is not a number")
    elif math.isinf(node):
        yield Problem(Code.OUT_OF_RANGE, _written(path), "is a number outside the range of a 64-bit float")


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
