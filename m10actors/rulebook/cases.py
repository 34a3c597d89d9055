"""Cases for rules: failures, and what should be decided about each. In TOML (`[[case]]` tables) or JSON lines."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from m10actors.config import ConfigError
from m10actors.config.errors import Problem
from m10actors.config.kinds import Count, Fraction, Says, Section, Text
from m10actors.config.sources import shown
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.decision import Decision, decide
from m10actors.recovery.facts import NO_HISTORY, Candidate, message_seen
from m10actors.recovery.failure import MAX_CODE_LENGTH, MAX_MESSAGE_BYTES, UNKNOWN_CODE
from m10actors.recovery.fingerprint import fingerprint
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import Ruleset
from m10actors.rulebook.faults import expected_and_got, written
from m10actors.rulebook.reading import tables_of, text_of, unreadable

MAX_BYTES: Final = 16_000_000
NONE: Final = "none"
"""Stands for no action."""

_AT: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _both(value: object) -> object:
    match value:
        case list():
            return tuple(value)
        case int() | float():
            return (value, value)
        case _:
            return value


def _in_order(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("the least confidence before the most")
    return span


Span: TypeAlias = Annotated[
    tuple[Fraction, Fraction],
    BeforeValidator(_both),
    AfterValidator(_in_order),
    Says("a number from 0 to 1, or a list of the least and the most"),
]


class Case(Section):
    """A failure, and what should be decided about it."""

    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE_LENGTH), Says("a text of 1 to 200 characters")] = (
        UNKNOWN_CODE
    )
    message: Annotated[str, Field(max_length=MAX_MESSAGE_BYTES)] = ""
    source: Text = "api"
    occurrences: Count = 1
    action: Text
    confidence: Span | None = None
    rule: Text | None = None

    @property
    def right_action(self) -> str | None:
        """The action that should be proposed, None for no action."""
        return None if self.action == NONE else self.action


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules come to in a case. `place`: where it stands; `wrong`: what is otherwise than it should be."""

    case: Case
    place: str
    decision: Decision
    wrong: tuple[str, ...]


def read_cases(path: Path) -> list[tuple[Case, str]]:
    """The cases of a file and where each stands; ConfigError with everything that is wrong with it."""
    text = text_of(path, MAX_BYTES)
    if path.suffix == ".jsonl":
        raw = list(_lines(path, text))
    else:
        raw = [(table, f"case {nth}") for nth, table in enumerate(tables_of(path, text, "case"), start=1)]
    cases: list[tuple[Case, str]] = []
    problems: list[Problem] = []
    for item, place in raw:
        try:
            cases.append((Case.model_validate(item), place))
        except ValidationError as error:
            problems += _problems(error, place, path)
    if problems:
        raise ConfigError(problems)
    return cases


def outcomes(rules: Ruleset, cases: Iterable[tuple[Case, str]]) -> Iterator[Outcome]:
    """Decides each case by `rules`, with the seeded actions and no past cases."""
    for case, place in cases:
        decision = decide(_candidate(case), NO_HISTORY, SEEDED_ACTIONS, Policy(), rules)
        yield Outcome(case, place, decision, tuple(_wrong(case, decision)))


def _lines(path: Path, text: str) -> Iterator[tuple[object, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line), f"line {number}"
            except (ValueError, RecursionError) as error:
                raise unreadable(path, "a JSON object on each line", f"line {number}: {error}") from error


def _problems(error: ValidationError, place: str, path: Path) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        expected, got = expected_and_got(detail, Case)
        yield Problem(f"{place}: {written(detail['loc'])}", expected, got, f"file {path}")


def _candidate(case: Case) -> Candidate:
    return Candidate(
        id=0,
        generation=1,
        error_code=case.code,
        error_message=message_seen(case.message),
        source=case.source,
        fingerprint=fingerprint(case.code, case.message),
        occurrence_count=case.occurrences,
        at=_AT,
    )


def _wrong(case: Case, decision: Decision) -> Iterator[str]:
    by: Sequence[str] = [match.rule for match in decision.matched]
    if decision.action != case.right_action:
        because = f" (by {', '.join(by)})" if by else ""
        yield f"action: expected {case.action}, got {decision.action or NONE}{because}"
    if case.confidence and not case.confidence[0] <= decision.confidence <= case.confidence[1]:
        low, high = case.confidence
        expected = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        yield f"confidence: expected {expected}, got {decision.confidence:g}"
    if case.rule and case.rule not in by[:1]:
        yield f"rule: expected {case.rule}, got {shown(by[0]) if by else 'none'}"
    for failed in decision.failed_rules:
        yield f"rule {failed.rule} failed: {failed.error}"
