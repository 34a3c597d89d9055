"""Conditions of rules: a closed set. Each says what it saw, in words for a person, or that it does not hold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Protocol, TypeAlias

from m10actors.recovery.confidence import MIN_CASES
from m10actors.recovery.facts import Facts
from m10actors.recovery.phrases import duration, one_of, shown
from m10actors.recovery.proof import Proof, Scope, proven


class Pattern(Protocol):
    """A regular expression of whatever engine. `text`: as it was written."""

    @property
    def text(self) -> str: ...

    def search(self, text: str, /) -> str | None:
        """The first part of `text` that matches; None if none does."""


@dataclass(frozen=True, slots=True)
class Code:
    """One of `patterns` is contained in the error code, in whatever letter case; a number only as a whole number, with
    `whole` every pattern only as a whole word, and _ and - belong to a word (E15003 does not contain 500, AUTHOR and
    NO_AUTH not the word AUTH).
    """

    patterns: tuple[str, ...]
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.patterns or not all(self.patterns):
            raise ValueError("code: at least one pattern is needed, and none is empty")

    def holds(self, facts: Facts) -> str | None:
        return self.holds_of(facts.code)

    def holds_of(self, code: str) -> str | None:
        """Of an error code in upper case."""
        found = _expression(self.patterns, self.whole).search(code)
        return f"the error code contains {found[0]}" if found else None

    def __str__(self) -> str:
        return f"the error code contains {one_of(self.patterns)}"


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """The message matches `pattern`."""

    pattern: Pattern

    def holds(self, facts: Facts) -> str | None:
        found = self.pattern.search(facts.candidate.error_message)
        return None if found is None else f"the message says {shown(found)}"

    def __str__(self) -> str:
        return f"the message matches {shown(self.pattern.text)}"

    def __repr__(self) -> str:
        return f"Message({self.pattern.text!r})"


@dataclass(frozen=True, slots=True)
class Source:
    """It was reported by one of `names`."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        _needed("source", self.names)

    def holds(self, facts: Facts) -> str | None:
        return f"the source is {facts.candidate.source}" if facts.candidate.source in self.names else None

    def __str__(self) -> str:
        return f"the source is {one_of(self.names)}"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Its fingerprint is one of `values`."""

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        _needed("fingerprint", self.values)

    def holds(self, facts: Facts) -> str | None:
        return f"the fingerprint is {found[:12]}" if (found := facts.candidate.fingerprint) in self.values else None

    def __str__(self) -> str:
        return f"the fingerprint is {one_of(tuple(value[:12] for value in self.values))}"


@dataclass(frozen=True, slots=True)
class Occurrences:
    """It was seen so often, ever."""

    at_least: int

    def __post_init__(self) -> None:
        if self.at_least < 1:
            raise ValueError(f"occurrences: at least 1 is needed, got {self.at_least}")

    def holds(self, facts: Facts) -> str | None:
        return f"{seen} occurrences" if (seen := facts.candidate.occurrence_count) >= self.at_least else None

    def __str__(self) -> str:
        return f"seen {self.at_least} times or more"


@dataclass(frozen=True, slots=True)
class Rate:
    """It was seen so often within the last `within`, a whole number of seconds. Estimated: see docs/deciding.md."""

    at_least: float
    within: timedelta

    def __post_init__(self) -> None:
        if self.at_least <= 0:
            raise ValueError(f"rate: more than 0 occurrences are needed, got {self.at_least:g}")
        if self.within < timedelta(seconds=1) or self.within % timedelta(seconds=1):
            raise ValueError(f"rate: a window is a whole number of seconds, at least one, got {self.within}")

    def holds(self, facts: Facts) -> str | None:
        seen = facts.candidate.seen_within(self.within)
        return f"about {seen:.0f} occurrences within {duration(self.within)}" if seen >= self.at_least else None

    def __str__(self) -> str:
        return f"seen {self.at_least:g} times or more within {duration(self.within)}"


@dataclass(frozen=True, slots=True)
class History:
    """`action`, or with None any action, has at least `min_matches` past cases in `scope` and a confidence of at least
    `min_rate` from them.
    """

    min_matches: int = MIN_CASES
    min_rate: float = 0.0
    action: str | None = None
    scope: Scope = Scope.ALIKE

    def __post_init__(self) -> None:
        if self.min_matches < MIN_CASES:
            raise ValueError(f"history: it counts only from {MIN_CASES} past cases on, got {self.min_matches}")
        if not 0 <= self.min_rate <= 1:
            raise ValueError(f"history: a rate is 0 .. 1, got {self.min_rate:g}")
        if self.scope is Scope.ACTION and self.action is None:
            raise ValueError("history: of all cases of an action, whatever it was taken for, name the action")

    def holds(self, facts: Facts) -> str | None:
        proof = self.proof(facts)
        return None if proof is None else str(proof)

    def proof(self, facts: Facts) -> Proof | None:
        """The action that these cases speak for, see `proven`."""
        return proven(facts, self.scope, self.action, self.min_matches, self.min_rate)

    def __str__(self) -> str:
        who = self.action or "an action"
        return f"{who} has {self.min_matches} or more {self.scope.cases} and a confidence of {self.min_rate:g} or more"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of `of` holds."""

    of: "tuple[Condition, ...]"

    def __post_init__(self) -> None:
        _needed("all", self.of)

    def holds(self, facts: Facts) -> str | None:
        seen: list[str] = []
        for condition in self.of:
            because = condition.holds(facts)
            if because is None:
                return None
            seen.append(because)
        return " and ".join(seen)

    def __str__(self) -> str:
        return f"({' and '.join(map(str, self.of))})"


@dataclass(frozen=True, slots=True)
class Any:
    """One of `of` holds; it tells of the first that does."""

    of: "tuple[Condition, ...]"

    def __post_init__(self) -> None:
        _needed("any", self.of)

    def holds(self, facts: Facts) -> str | None:
        return next((because for each in self.of if (because := each.holds(facts)) is not None), None)

    def __str__(self) -> str:
        return f"({' or '.join(map(str, self.of))})"


@dataclass(frozen=True, slots=True)
class Not:
    """`of` does not hold."""

    of: "Condition"

    def holds(self, facts: Facts) -> str | None:
        return str(self) if self.of.holds(facts) is None else None

    def __str__(self) -> str:
        return f"it is not so that {self.of}"


Condition: TypeAlias = Code | Message | Source | Fingerprint | Occurrences | Rate | History | All | Any | Not
Identity: TypeAlias = Code | Message | Source | Fingerprint
"""Conditions on what a failure is, not on how often it came or what was done about it."""


def leaves(condition: Condition) -> Iterator[Code | Message | Source | Fingerprint | Occurrences | Rate | History]:
    """The conditions that it is made of, without all, any and not."""
    match condition:
        case All(of) | Any(of):
            for each in of:
                yield from leaves(each)
        case Not(of):
            yield from leaves(of)
        case leaf:
            yield leaf


@cache
def _expression(patterns: tuple[str, ...], whole: bool) -> re.Pattern[str]:
    """Made when it is first looked for: a process that decides nothing yet does not wait for it."""
    return re.compile("|".join(_bounded(pattern.upper(), whole) for pattern in patterns))


def _bounded(pattern: str, whole: bool) -> str:
    """With `whole` not as a part of a name (ITEM_UNAVAILABLE, ORDER-40001), a number not of another one (1.40001)."""
    if whole:
        inner = "A-Z0-9_.-" if pattern[0].isdigit() else "A-Z0-9_-"
        return rf"(?<![{inner}]){re.escape(pattern)}(?![{inner}])"
    return rf"(?<![0-9]){pattern}(?![0-9])" if re.fullmatch("[0-9]+", pattern) else re.escape(pattern)


def _needed(name: str, given: tuple[object, ...]) -> None:
    if not given:
        raise ValueError(f"{name}: at least one is needed")
