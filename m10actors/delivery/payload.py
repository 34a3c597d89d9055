"""Reading a payload without rewriting it.

The body of a request has to be the same bytes on every attempt, on every version of this program, and every number in
it has to be the one that was published. So a body is never encoded anew (a float would lose digits, a formatter may
change): it is cut out of the text that PostgreSQL printed, and PostgreSQL prints one jsonb value always the same way.
"""

import json
import re
from dataclasses import dataclass
from typing import Self

from m10actors.delivery.errors import Undeliverable
from m10actors.recovery.nesting import READABLE_LEVELS, is_deeper

_GAP = re.compile(r"[ \t\n\r]*")
# Numbers are passed on, never computed with: as texts they need no precision and cannot be too long for int().
_JSON = json.JSONDecoder(parse_int=str, parse_float=str)


@dataclass(frozen=True, slots=True)
class Payload:
    """The members of a payload: their values (numbers as texts), and the very characters that stand for them."""

    values: dict[str, object]
    texts: dict[str, str]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Undeliverable("invalid_payload") if `raw` is not a JSON object that can be read."""
        if is_deeper(raw, READABLE_LEVELS):
            raise Undeliverable("invalid_payload", f"nested deeper than {READABLE_LEVELS} levels")
        try:
            document = raw.decode()
            values = _JSON.decode(document)
        except ValueError as error:
            raise Undeliverable("invalid_payload", f"not readable: {type(error).__name__}") from error
        if not isinstance(values, dict):
            raise Undeliverable("invalid_payload", "not an object")
        return cls(values, _member_texts(document) if values else {})

    def text(self, name: str) -> str | None:
        """The member `name` if it is a string; None if there is none; Undeliverable if it is something else."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise Undeliverable("invalid_payload", f"{name} is not a string")
        return value


def _member_texts(document: str) -> dict[str, str]:
    """The text of each member of a JSON object, not empty, that has been decoded once and so is well-formed."""
    texts = {}
    at = document.index("{")
    while document[at] in "{,":
        name, at = _JSON.raw_decode(document, _after_gap(document, at + 1))
        start = _after_gap(document, _after_gap(document, at) + 1)
        _, end = _JSON.raw_decode(document, start)
        texts[name] = document[start:end]
        at = _after_gap(document, end)
    return texts


def _after_gap(document: str, at: int) -> int:
    gap = _GAP.match(document, at)
    return gap.end() if gap else at
