"""A pattern of the caller's in place of the built-in recogniser."""

from typing import Final

import re2

from m10actors.loglines.record import Record

GROUPS: Final = ("level", "message", "source", "logger", "time")
MATCHED_CHARACTERS: Final = 8 * 1024
"""So much of a line is matched."""


class InvalidPattern(ValueError):
    """The pattern cannot be used; the text says why."""


class Pattern:
    """A regular expression (RE2: no look-around, no back-references, time linear in the line) with named groups.

    It is matched from the beginning of the line. Without a group `message` the whole line is the message.
    """

    def __init__(self, expression: str) -> None:
        options = re2.Options()
        options.log_errors = False
        try:
            self._expression = re2.compile(expression, options)
        except re2.error as error:
            raise InvalidPattern(f"no regular expression of RE2: {_reason(error)}") from None
        unknown = sorted(set(self._expression.groupindex) - set(GROUPS))
        if unknown:
            raise InvalidPattern(f"the group {unknown[0]} has no meaning, expected some of {', '.join(GROUPS)}")
        if not self._expression.groupindex:
            raise InvalidPattern(f"no named group like (?P<level>[A-Z]+), expected some of {', '.join(GROUPS)}")

    def __call__(self, text: str) -> Record | None:
        """What the line says; None if the pattern does not match."""
        found = self._expression.match(text[:MATCHED_CHARACTERS])
        if found is None:
            return None
        group = {name: value.strip() for name, value in found.groupdict().items() if value is not None}
        return Record(
            message=group.get("message") or text,
            level=group["level"].upper() if group.get("level") else None,
            logger=group.get("logger"),
            time=group.get("time"),
            source=group.get("source"),
        )


def _reason(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)
