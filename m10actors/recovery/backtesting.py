"""What other rules would have made of what was recorded: tallies over a stream of records, in constant memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, TypeAlias

from m10actors.recovery import records
from m10actors.recovery.decision import RULES, Decision, from_record, reconsider
from m10actors.recovery.facts import Facts
from m10actors.recovery.rules import Ruleset

EXAMPLES: Final = 3
"""How many examples are kept of each kind of difference."""
MOST_WRONG: Final = 50
"""How many are kept of those that should have come out the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a decision came to, as far as it can make a difference."""

    action: str | None
    confidence: float
    execute: bool
    reason: str

    @classmethod
    def of(cls, decision: Decision) -> "Result":
        return cls(decision.action, decision.confidence, decision.execute, decision.reason.value)

    def __str__(self) -> str:
        by_itself = "by itself" if self.execute else f"waits ({self.reason})"
        return f"{self.action or 'no action'} {self.confidence:g}, {by_itself}"


@dataclass(frozen=True, slots=True)
class Example:
    """A decision of which another one was made."""

    candidate_id: int
    generation: int
    error_code: str
    before: Result
    after: Result


Kind: TypeAlias = tuple[str | None, bool, str | None, bool]
"""A kind of difference: the action before and whether by itself, the action after and whether by itself."""


@dataclass(slots=True)
class RuleUse:
    """What a rule did: in how many decisions it matched, proposed the action (`decided`), and matched but was outscored
    by another; `shadowed`: it would have matched, but a lower tier had decided.
    """

    matched: int = 0
    decided: int = 0
    shadowed: int = 0

    @property
    def outscored(self) -> int:
        return self.matched - self.decided


@dataclass(slots=True)
class Backtest:
    """Decides what was recorded again by `rules`, one record after the other.

    `actions`, `by_itself`: (before, after) and how often. `examples`: of each kind of difference. `by_others`: how
    many decisions of which evaluator; they are taken as they were proposed. `unread`: what kind of record, how many.
    `same_rules`: how many were made by these rules; `wrong`: those, and those of other evaluators, that came out
    otherwise, and `wrong_count` how many. `unknown_rates`: how many lack a rate that a rule asks for: it counts as 0.
    """

    rules: Ruleset
    decisions: int = 0
    same_rules: int = 0
    changed_confidence: int = 0
    unknown_rates: int = 0
    wrong_count: int = 0
    actions: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    by_itself: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    by_others: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    examples: dict[Kind, list[Example]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[Example] = field(default_factory=list)
    use: dict[str, RuleUse] = field(init=False)
    _windows: frozenset[timedelta] = field(init=False)

    def __post_init__(self) -> None:
        self.use = {rule.name: RuleUse() for rule in self.rules.rules if rule.is_active}
        self._windows = frozenset(window for window, _ in self.rules.rate_levels)

    def add(self, candidate_id: int, record: Mapping[str, Any]) -> None:
        """Decides one again."""
        try:
            former = from_record(record)
        except ValueError:
            self.unread[_what(record)] += 1
            return
        assert former.seen is not None
        again = reconsider(former, former.seen, self._rules_of(former))
        self.decisions += 1
        self._compare(candidate_id, former, again)
        if former.evaluator == RULES:
            self._count_rules(former.seen.facts, again)
        else:
            self.by_others[former.evaluator] += 1

    @property
    def never_matched(self) -> list[str]:
        return [name for name, use in self.use.items() if not use.matched and not use.shadowed]

    @property
    def never_decided(self) -> list[str]:
        """Those that matched, or would have, and were outscored or shadowed each time."""
        return [name for name, use in self.use.items() if (use.matched or use.shadowed) and not use.decided]

    def _rules_of(self, former: Decision) -> Ruleset:
        """Without those that failed then, if they are these: why they failed (it took too long) is not recorded."""
        failed = {each.rule for each in former.failed_rules}
        if not failed or former.rules_version != self.rules.version:
            return self.rules
        return Ruleset(
            tuple(replace(rule, is_active=False) if rule.name in failed else rule for rule in self.rules.rules)
        )

    def _compare(self, candidate_id: int, former: Decision, again: Decision) -> None:
        before, after = Result.of(former), Result.of(again)
        self.actions[before.action, after.action] += 1
        self.by_itself[before.execute, after.execute] += 1
        self.changed_confidence += before.confidence != after.confidence
        is_bound = former.evaluator != RULES or former.rules_version == self.rules.version
        self.same_rules += is_bound and former.evaluator == RULES
        is_same = (before, former.total, former.matched) == (after, again.total, again.matched)
        if is_same:
            return
        assert former.seen is not None
        candidate = former.seen.facts.candidate
        example = Example(candidate_id, candidate.generation, candidate.error_code, before, after)
        if len(known := self.examples[_kind(before, after)]) < EXAMPLES and before != after:
            known.append(example)
        if is_bound:
            self.wrong_count += 1
            self.wrong += [example][: MOST_WRONG - len(self.wrong)]

    def _count_rules(self, facts: Facts, again: Decision) -> None:
        self.unknown_rates += not self._windows <= {window for window, _ in facts.candidate.rates}
        for nth, match in enumerate(again.matched):
            self.use[match.rule].matched += 1
            self.use[match.rule].decided += nth == 0
        for name in self.rules.shadowed(facts, again.matched):
            self.use[name].shadowed += 1


def _kind(before: Result, after: Result) -> Kind:
    return before.action, before.execute, after.action, after.execute


def _what(record: Mapping[str, Any]) -> str:
    """What a record is that cannot be read."""
    match record.get("v"):
        case None:
            return "without a record"
        case int(version) if version != records.VERSION:
            return f"records of version {version}"
        case _:
            return "damaged records"
