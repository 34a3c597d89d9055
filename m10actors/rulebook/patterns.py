"""All patterns of a rule file, looked for together: one pass over a message tells which of them it matches."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import re2

from m10actors.rulebook.pattern import Pattern, options

LONGEST: Final = 4096
"""Characters. In a longer message each pattern is looked for by itself: what is new in a text costs a pass more."""
_MESSAGES_KEPT: Final = 16
_MEMORY: Final = 8 << 20
_ALWAYS: Final = 0
"""The number of a pattern that matches every message: where the pass does not find it, it ran out of memory."""


class Patterns:
    """`limit`: the processor time that one search may take, of one pattern and of all of them. If the pass takes
    longer, or cannot be made of these patterns, each is looked for by itself from then on. Safe to use from any thread.
    """

    def __init__(self, limit: timedelta, clock: Callable[[], float] = time.thread_time) -> None:
        self._limit = limit
        self._clock = clock
        self._texts = [""]
        self._set: Any = None
        self._is_off = False
        self.matching = lru_cache(_MESSAGES_KEPT)(self._matching)

    def add(self, text: str) -> "Member":
        """One more, before the first search. InvalidPattern if it is no regular expression."""
        pattern = Pattern(text, self._limit, self._clock)
        self._texts.append(text)
        return Member(pattern, len(self._texts) - 1, self)

    def _matching(self, message: str) -> frozenset[int] | None:
        """The numbers of the patterns that match; None if that is not known."""
        if self._set is None and not self._is_off:
            self._compile()
        if self._is_off or len(message) > LONGEST:
            return None
        started = self._clock()
        found = self._set.Match(message) or ()
        if self._clock() - started > self._limit.total_seconds():
            self._is_off = True
        return frozenset(found) if _ALWAYS in found else None

    def _compile(self) -> None:
        """At the first search: a command that decides nothing does not wait for it. Two threads may both do it."""
        made = re2.Set.SearchSet(options(_MEMORY))
        try:
            for text in self._texts:
                made.Add(text)
            made.Compile()
        except re2.error:  # they need more memory
            self._is_off = True
        else:
            self._set = made


class Member:
    """One of several patterns, as conditions ask for it."""

    def __init__(self, pattern: Pattern, number: int, patterns: Patterns) -> None:
        self.text = pattern.text
        self._pattern = pattern
        self._number = number
        self._patterns = patterns

    def search(self, text: str) -> str | None:
        """The first part of `text` that matches, None if there is none; PatternTooSlow if that took too long."""
        matching = self._patterns.matching(text)
        return None if matching is not None and self._number not in matching else self._pattern.search(text)
