"""Regular expressions of rules: RE2, so that their time is linear in the text whatever they are."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import re2


class InvalidPattern(ValueError):
    """The text is no regular expression of RE2; the message says why and, where it is known, at which character."""


class PatternTooSlow(Exception):
    """A search took longer than it may."""


class Pattern:
    """A regular expression, in which the case of letters counts only behind `(?-i)`. InvalidPattern if it is none.

    `limit`: the processor time that one search may take.
    """

    def __init__(self, text: str, limit: timedelta, clock: Callable[[], float] = time.thread_time) -> None:
        self.text = text
        self._limit = limit.total_seconds()
        self._clock = clock
        self._expression = _compiled(text)

    def search(self, text: str) -> str | None:
        """The first part of `text` that matches, None if there is none; PatternTooSlow if that took too long."""
        encoded = text.encode()
        started = self._clock()
        found = self._expression.search(encoded)
        if (spent := self._clock() - started) > self._limit:
            raise PatternTooSlow(f"{spent * 1000:.0f} ms, at most {self._limit * 1000:.0f} ms are allowed")
        return found[0].decode(errors="replace") if found else None


def options(max_mem: int) -> Any:
    """As patterns are understood here; `max_mem`: bytes."""
    made = re2.Options()
    made.log_errors = False
    made.case_sensitive = False
    made.max_mem = max_mem
    return made


_OPTIONS: Final = options(1 << 20)


def checked(text: str) -> str:
    """`text`, if it is a regular expression; else InvalidPattern."""
    _compiled(text)
    return text


def _compiled(text: str) -> Any:
    """For UTF-8: of a match in a str the binding counts the characters, which takes longer than the search."""
    if reason := _fault(text):
        at = _place(reason, text)
        raise InvalidPattern(reason if at is None else f"character {at + 1}: {reason}")
    return re2.compile(text.encode(), _OPTIONS)


def _fault(text: str) -> str | None:
    """Why RE2 does not take `text`, and behind a colon the part of it that it could not read."""
    try:
        re2.compile(text, _OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return None


def _place(reason: str, text: str) -> int | None:
    """Where the part begins; of a group that is never closed, for which RE2 names the whole pattern, the last one."""
    what, _, part = reason.partition(": ")
    if what == "missing )":
        opened = [at for at, letter in enumerate(text) if letter == "(" and text[at - 1 : at] != "\\"]
        return next((at for at in reversed(opened) if (_fault(text[at:]) or "").startswith(what)), None)
    return text.find(part) if part and text.count(part) == 1 else None
