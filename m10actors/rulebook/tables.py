"""The form of a rule file: one `[[rule]]` table for each rule. docs/rules.md explains the keys."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from m10actors.config.durations import duration
from m10actors.config.keys import NAME, Key, unwrap
from m10actors.config.kinds import AsTuple, Count, Duration, Fraction, Says, Section, Text
from m10actors.recovery.confidence import MIN_CASES
from m10actors.rulebook.pattern import checked

MAX_PATTERN: Final = 1_000
"""Characters of a regular expression."""
MAX_DEPTH: Final = 8
"""Levels of `all`, `any` and `not`, the outermost condition among them."""


def _whole_seconds(window: timedelta) -> timedelta:
    if window % timedelta(seconds=1):
        raise ValueError("a duration of whole seconds")
    return window


Name: TypeAlias = Annotated[
    str,
    Field(pattern=f"^{NAME.pattern}$"),
    Says("a name of lower-case letters, digits, _ and -, which begins with a letter, of at most 63 characters"),
]
Texts: TypeAlias = Annotated[
    tuple[Text, ...], AsTuple, Field(min_length=1, max_length=1_000), Says("a list of 1 to 1,000 texts")
]
Expression: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PATTERN),
    AfterValidator(checked),
    Says(f"a regular expression of RE2, of 1 to {MAX_PATTERN:,} characters"),
]
Window: TypeAlias = Annotated[
    Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1)), AfterValidator(_whole_seconds)
]
Conditions: TypeAlias = Annotated[
    tuple["Condition", ...],
    AsTuple,
    Field(min_length=1, max_length=100),
    Says("a list of 1 to 100 conditions, each a table"),
]


class Occurrences(Section):
    """How often the failure has been seen."""

    at_least: Count


class Rate(Section):
    """How often it was seen lately."""

    at_least: Count
    within: Window = duration("10m")


class History(Section):
    """What came of an action, or of any, for failures like this one."""

    cases: Annotated[int, Field(ge=MIN_CASES, le=1_000_000)]
    success: Fraction
    action: Name | None = None
    scope: Literal["alike", "fingerprint", "code", "action"] = "alike"

    @model_validator(mode="after")
    def _names_an_action(self) -> Self:
        if self.scope == "action" and self.action is None:
            raise ValueError('the name of an action beside scope = "action"')
        return self


class Condition(Section):
    """What a failure has to be: every key that is given holds."""

    code: Texts | None = None
    code_word: Texts | None = None
    message: Expression | None = None
    source: Texts | None = None
    fingerprint: Texts | None = None
    occurrences: Annotated[Occurrences | None, Says("a table like {at_least = 5}")] = None
    rate: Annotated[Rate | None, Says('a table like {at_least = 20, within = "10m"}')] = None
    history: Annotated[History | None, Says("a table like {cases = 3, success = 0.7}")] = None
    all: Conditions | None = None
    any: Conditions | None = None
    not_: Annotated["Condition | None", Field(alias="not"), Says("a condition, which is a table")] = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"at least one of {', '.join(known_keys(Condition))}")
        return self


class Rule(Section):
    """One rule."""

    name: Name
    action: Name | None = None
    score: Annotated[float, Field(ge=0.0, le=2.0, allow_inf_nan=False)]
    adjustment: Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)] = 0.0
    priority: Annotated[int, Field(ge=-1_000, le=1_000)] = 0
    tier: Annotated[int, Field(ge=1, le=9)] = 1
    active: bool = True
    when: Annotated[Condition, Says("a condition, which is a table")]


def known_keys(table: type[Section]) -> Mapping[str, str]:
    """The keys of `table` as a file has them, and what is expected of each."""
    return {
        info.alias or name: Key(name, *unwrap(info), default=None, section=table).expected
        for name, info in table.model_fields.items()
    }
