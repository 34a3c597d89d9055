"""From the tables of a rule file to rules that decide."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from m10actors.config import ConfigError
from m10actors.config.pipeline import Decisions
from m10actors.recovery.conditions import (
    All,
    Any,
    Code,
    Condition,
    Fingerprint,
    History,
    Message,
    Not,
    Occurrences,
    Rate,
    Source,
)
from m10actors.recovery.proof import Scope
from m10actors.recovery.rules import Rule, Ruleset
from m10actors.rulebook import tables
from m10actors.rulebook.patterns import Patterns
from m10actors.rulebook.reading import read
from m10actors.shipped import shipped

_DEFAULTS: Final = Decisions()
_ACTION_EXPECTED: Final = "an action, or one history condition without an action that always has to hold, and not both"


def configured(decisions: Decisions) -> Ruleset:
    """The rules that a configuration wants; see `load`."""
    return load(decisions.rules_file or shipped("config/rules.toml"), decisions.rule_time_limit)


def load(path: Path, limit: timedelta = _DEFAULTS.rule_time_limit) -> Ruleset:
    """The rules in a file; ConfigError with everything that is wrong with it. `limit`: the processor time that a rule
    may take for one message.
    """
    rules: list[Rule] = []
    patterns = Patterns(limit)
    found, problems = read(path)
    for table, place in found:
        try:
            rules.append(_rule(table, patterns))
        except ValueError:
            got = table.action or "no action and no such condition"
            problems.append(place.problem(table.name, "action", _ACTION_EXPECTED, got))
    if problems:
        raise ConfigError(problems)
    return Ruleset(tuple(rules))


def proposed(rules: Ruleset) -> frozenset[str]:
    """The actions that active rules name."""
    return frozenset(rule.action for rule in rules.rules if rule.is_active and rule.action is not None)


def _rule(table: tables.Rule, patterns: Patterns) -> Rule:
    """ValueError where it proposes no action, or two."""
    return Rule(
        name=table.name,
        action=table.action,
        score=table.score,
        when=_condition(table.when, patterns),
        adjustment=table.adjustment,
        priority=table.priority,
        tier=table.tier,
        is_active=table.active,
    )


def _condition(table: tables.Condition, patterns: Patterns) -> Condition:
    """One key is that condition, several are all of them."""
    found = tuple(_conditions(table, patterns))
    return found[0] if len(found) == 1 else All(found)


def _conditions(table: tables.Condition, patterns: Patterns) -> Iterator[Condition]:
    if table.code is not None:
        yield Code(table.code)
    if table.code_word is not None:
        yield Code(table.code_word, whole=True)
    if table.message is not None:
        yield Message(patterns.add(table.message))
    if table.source is not None:
        yield Source(table.source)
    if table.fingerprint is not None:
        yield Fingerprint(table.fingerprint)
    if table.occurrences is not None:
        yield Occurrences(table.occurrences.at_least)
    if table.rate is not None:
        yield Rate(table.rate.at_least, table.rate.within)
    if (given := table.history) is not None:
        yield History(given.cases, given.success, given.action, Scope(given.scope))
    if table.all is not None:
        yield All(tuple(_condition(each, patterns) for each in table.all))
    if table.any is not None:
        yield Any(tuple(_condition(each, patterns) for each in table.any))
    if table.not_ is not None:
        yield Not(_condition(table.not_, patterns))
