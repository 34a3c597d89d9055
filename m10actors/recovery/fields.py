"""Reading the fields of a JSON object with strict types, collecting every problem instead of stopping at the first."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from m10actors.recovery.problems import Code, Problem

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHOWN_NAME = 40


def as_uuid(text: str) -> UUID | None:
    """The UUID that `text` is in its usual form of 36 characters, or None."""
    return UUID(text) if _UUID.fullmatch(text) else None


class Fields:
    """The fields of one object.

    JSON null is the same as an absent field. Where a field is bad, its reader adds the reason to `problems` and answers
    as if the field were absent.
    """

    def __init__(self, fields: Mapping[Any, object], problems: list[Problem], prefix: str = "") -> None:
        self._fields = fields
        self._problems = problems
        self._prefix = prefix

    def text(self, *names: str, max_length: int | None = None, max_bytes: int | None = None) -> str | None:
        """The text, not blank, in the first of `names` that is there."""
        value = self.any_text(*names, max_length=max_length, max_bytes=max_bytes)
        if value is not None and not value.strip():
            self.note(self._first(names)[0], Code.MISSING_FIELD, "is blank")
            return None
        return value

    def any_text(self, *names: str, max_length: int | None = None, max_bytes: int | None = None) -> str | None:
        """The text, perhaps blank, in the first of `names` that is there."""
        name, value = self._first(names)
        if value is None:
            return None
        if not isinstance(value, str):
            self.note(name, Code.INVALID_TYPE, "is no string")
        elif max_length is not None and len(value) > max_length:
            self.note(name, Code.TOO_LONG, f"has {len(value)} characters, at most {max_length} are taken")
        elif max_bytes is not None and len(value.encode("utf-8", "surrogatepass")) > max_bytes:
            self.note(name, Code.TOO_LONG, f"has more than {max_bytes} bytes")
        else:
            return value
        return None

    def are_empty(self, *names: str) -> bool:
        """Whether each of `names` is absent, null, or a blank text."""
        values = map(self._fields.get, names)
        return all(value is None or (isinstance(value, str) and not value.strip()) for value in values)

    def uuid(self, name: str) -> UUID | None:
        value = self._fields.get(name)
        found = as_uuid(value) if isinstance(value, str) else None
        if found is None and value is not None:
            self.note(name, Code.INVALID_UUID, "is no UUID like 123e4567-e89b-12d3-a456-426614174000")
        return found

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self._fields.get(name)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.note(name, Code.INVALID_TYPE, "is neither true nor false")
        return default

    def mapping(self, name: str) -> dict[str, object] | None:
        value = self._fields.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.note(name, Code.OBJECT_EXPECTED, "is no JSON object")
        return None

    def only(self, known: tuple[str, ...]) -> None:
        """Every field that is not among `known` is a problem that names the near one."""
        for name in self._fields:
            if isinstance(name, str) and name not in known:
                near = get_close_matches(name, known, n=1)
                meant = f"; did you mean {near[0]}?" if near else ""
                self.note(ascii(name[:_SHOWN_NAME]), Code.UNKNOWN_FIELD, f"is unknown{meant}")

    def note(self, name: str, code: Code, message: str) -> None:
        """Adds a problem with the field `name`."""
        self._problems.append(Problem(code, self._prefix + name, message))

    def _first(self, names: tuple[str, ...]) -> tuple[str, object]:
        for name in names:
            if (value := self._fields.get(name)) is not None:
                return name, value
        return names[0], None
