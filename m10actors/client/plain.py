"""Values of somebody else's program → JSON that can be stored: bounded in every direction, whatever they are."""

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from m10actors.recovery.content import MAX_KEY_BYTES, is_int64

MAX_VALUES = 300
"""Of all containers together."""
MAX_DEPTH = 4
MAX_VALUE_LENGTH = 2_000
MAX_BYTES = 32 * 1024
"""Of all of it, written as JSON."""


def text_of(value: object, limit: int) -> str:
    """`str(value)`, or that it could not be had; at most `limit` characters and what stands for those left out."""
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 (a __str__ of somebody else's)
        return f"<{type(value).__name__} whose __str__ raised {type(error).__name__}>"
    return clean(text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} characters left out)")


def clean(text: str) -> str:
    """`text` as PostgreSQL takes it: NUL and lone surrogates as escapes."""
    text = text.replace("\0", "\\0")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def plain(values: Mapping[str, object]) -> dict[str, object]:
    """A copy of `values`. What JSON does not have becomes text, what is too much is left out."""
    try:
        copied = _Copier().mapping(values, MAX_DEPTH)
        size = len(json.dumps(copied, ensure_ascii=False).encode())
    except Exception as error:  # noqa: BLE001 (a container of somebody else's)
        return {"left_out": f"reading it raised {type(error).__name__}"}
    return copied if size <= MAX_BYTES else {"left_out": f"{size} bytes, at most {MAX_BYTES} are taken"}


class _Copier:
    def __init__(self) -> None:
        self._left = MAX_VALUES

    def mapping(self, values: Mapping[str, object], depth: int) -> dict[str, object]:
        copied: dict[str, object] = {}
        for key, value in values.items():
            if not self._takes_one():
                break
            short = text_of(key, MAX_KEY_BYTES).encode()[:MAX_KEY_BYTES].decode("utf-8", "ignore")
            copied[short] = self._value(value, depth - 1)
        return copied

    def _value(self, value: object, depth: int) -> object:
        match value:
            case None | bool():
                return value
            case int() if is_int64(value):
                return int(value)
            case float() if math.isfinite(value):
                return float(value)
            case Mapping() if depth > 0:
                return self.mapping(value, depth)
            case list() | tuple() | AbstractSet() if depth > 0:
                return self._items(value, depth)
            case _:
                return text_of(value, MAX_VALUE_LENGTH)

    def _items(self, values: Sequence[object] | AbstractSet[object], depth: int) -> list[object]:
        copied: list[object] = []
        for value in values:
            if not self._takes_one():
                break
            copied.append(self._value(value, depth - 1))
        return copied

    def _takes_one(self) -> bool:
        self._left -= 1
        return self._left >= 0
