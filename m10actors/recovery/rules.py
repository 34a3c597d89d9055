"""Rules: which failure suggests which action, and how strongly."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache, partial
from itertools import groupby
from math import isfinite
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from m10actors.recovery.conditions import All, Code, Condition, History, Identity, Occurrences, Rate, leaves
from m10actors.recovery.facts import Facts
from m10actors.recovery.narrowing import narrowed

CODES_KEPT: Final = 1024
"""Of so many error codes it is remembered which rules they leave to ask; of others it is found out again."""


class RuleMatch(Struct, frozen=True):
    """A rule that matched, the action and score that it contributes, and in `because` what it saw."""

    rule: str
    action: str
    score: float
    adjustment: float
    because: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Where `when` holds, the rule proposes `action` with `score`, and adds `adjustment` to the confidence.

    Without an action it proposes the one that its history condition finds, and `score` is the factor on that one's
    rate. Of equal scores the higher `priority` goes first, then the order of the list.
    `tier`: see `Ruleset`.
    """

    name: str
    action: str | None
    score: float
    when: Condition
    adjustment: float = 0.0
    priority: int = 0
    tier: int = 1
    is_active: bool = True
    _history: History | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = [each for each in _required(self.when) if isinstance(each, History) and each.action is None]
        object.__setattr__(self, "_history", found[0] if len(found) == 1 else None)
        if (self.action is None) != (self._history is not None):
            raise ValueError(
                f"rule {self.name}: it names an action, or one history condition that must hold finds it, and not both"
            )
        if not (isfinite(self.score) and self.score >= 0 and isfinite(self.adjustment) and self.tier >= 1):
            raise ValueError(f"rule {self.name}: score is at least 0, tier at least 1, and all of it is finite")

    @property
    def is_of_identity(self) -> bool:
        """Whether it asks for what the failure is, not only how often it came or what was done about it."""
        return any(isinstance(leaf, Identity) for leaf in leaves(self.when))

    def match(self, facts: Facts) -> RuleMatch | None:
        """What it contributes. Raises whatever a pattern of the user raises."""
        if self._history is not None:
            return self._proven(self._history, facts)
        because = self.when.holds(facts)
        return None if because is None else self._contributes(because)

    def of_code(self, code: str) -> "Rule | RuleMatch | None":
        """What is left of it for failures with this error code, in upper case: what it contributes, if the code alone
        has it match; None, if it cannot match; else the rule that is to be asked in its place.
        """
        match narrowed(self.when, code):
            case None:
                return None
            case str(because):
                return self._contributes(because)
            case left:
                return self if left is self.when else replace(self, when=left)

    def _contributes(self, because: str) -> RuleMatch:
        assert self.action is not None
        return RuleMatch(self.name, self.action, self.score, self.adjustment, because)

    def _proven(self, history: History, facts: Facts) -> RuleMatch | None:
        """`history` finds the action: the only condition of its kind that must hold and names no action itself."""
        proof = history.proof(facts)
        if proof is None:
            return None
        because = str(proof) if self.when is history else self.when.holds(facts)
        if because is None:
            return None
        return RuleMatch(self.name, proof.cases.action, round(proof.rate * self.score, 4), self.adjustment, because)


@dataclass(frozen=True, slots=True)
class FailedRule:
    """A rule that raised: it counts as one that does not match."""

    rule: str
    error: str


class Matches(Struct, frozen=True):
    """What the rules come to: those that match, best score first, and those that raised."""

    matched: tuple[RuleMatch, ...] = ()
    failed: tuple[FailedRule, ...] = ()


class _Asked(NamedTuple):
    """A rule as it is asked for one error code: what it contributes, if the code has `settled` that, its place in the
    list, and whether it asks for what the failure is.
    """

    rule: Rule
    settled: RuleMatch | None
    nth: int
    is_of_identity: bool


_Tiers: TypeAlias = tuple[tuple[_Asked, ...], ...]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules in their order. `version`: the same for the same rules.

    A rule of a higher tier counts only where none of a lower tier matched by what the failure is (its code, message,
    source, fingerprint): a wider set of rules changes nothing that a narrower one has decided.

    What conditions make of an error code alone is found out once for each code (`CODES_KEPT`): rules never change.
    """

    rules: tuple[Rule, ...]
    version: str = field(init=False)
    _tiers_of: Callable[[str], _Tiers] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rule {twice[0]}: there are two rules of that name")
        object.__setattr__(self, "version", hashlib.sha256(repr(self.rules).encode()).hexdigest()[:12])
        active = [_Asked(rule, None, nth, rule.is_of_identity) for nth, rule in enumerate(self.rules) if rule.is_active]
        by_tier = groupby(sorted(active, key=lambda each: each.rule.tier), key=lambda each: each.rule.tier)
        tiers = tuple(tuple(asked) for _, asked in by_tier)
        object.__setattr__(self, "_tiers_of", lru_cache(CODES_KEPT)(partial(_narrowed, tiers)))

    def matches(self, facts: Facts) -> Matches:
        """What they say of `facts`. One that raises is told of and takes no part."""
        found: list[tuple[float, int, int, RuleMatch]] = []
        failed: list[FailedRule] = []
        for tier in self._tiers_of(facts.code):
            is_identified = False
            for rule, settled, nth, is_of_identity in tier:
                match settled or _answer(rule, facts):
                    case RuleMatch() as match:
                        found.append((-match.score, -rule.priority, nth, match))
                        is_identified = is_identified or is_of_identity
                    case FailedRule() as failure:
                        failed.append(failure)
            if is_identified:
                break
        found.sort()
        return Matches(tuple([match for *_, match in found]), tuple(failed))

    def shadowed(self, facts: Facts, matched: Sequence[RuleMatch]) -> tuple[str, ...]:
        """Of higher tiers the rules that would have matched beside `matched`, had none of a lower tier by what the
        failure is.
        """
        names = {match.rule for match in matched}
        tiers = self._tiers_of(facts.code)
        for nth, tier in enumerate(tiers, start=1):
            if any(asked.is_of_identity and asked.rule.name in names for asked in tier):
                later = [asked for tier in tiers[nth:] for asked in tier]
                beyond = [(rule.name, settled or _answer(rule, facts)) for rule, settled, *_ in later]
                return tuple(name for name, answer in beyond if isinstance(answer, RuleMatch))
        return ()

    @property
    def recheck_thresholds(self) -> tuple[int, ...]:
        """The occurrence counts at which another evaluation can come out differently, ascending."""
        return tuple(sorted({leaf.at_least for leaf in self._leaves() if isinstance(leaf, Occurrences)} - {1}))

    @property
    def rate_levels(self) -> tuple[tuple[timedelta, float], ...]:
        """The rates, as (window, occurrences in it), at which another evaluation can come out differently."""
        return tuple(sorted({(leaf.within, leaf.at_least) for leaf in self._leaves() if isinstance(leaf, Rate)}))

    def _leaves(self) -> Iterable[Condition]:
        return (leaf for rule in self.rules if rule.is_active for leaf in leaves(rule.when))


def _narrowed(tiers: _Tiers, code: str) -> _Tiers:
    """The same without the rules that cannot match a failure with this error code."""
    left = (((each, each.rule.of_code(code)) for each in tier) for tier in tiers)
    return tuple(tuple(_of_code(each, of_code) for each, of_code in tier if of_code is not None) for tier in left)


def _of_code(asked: _Asked, left: Rule | RuleMatch) -> _Asked:
    if isinstance(left, RuleMatch):
        return asked._replace(settled=left)
    return asked if left is asked.rule else asked._replace(rule=left)


def _answer(rule: Rule, facts: Facts) -> RuleMatch | FailedRule | None:
    try:
        return rule.match(facts)
    except Exception as error:  # noqa: BLE001 - the edge of user code: a pattern that raises costs its rule
        return FailedRule(rule.name, f"{type(error).__name__}: {error}")


def _required(condition: Condition) -> Iterator[Condition]:
    """Those that must hold for it to hold: itself, or what stands in its `all`."""
    match condition:
        case All(of):
            for each in of:
                yield from _required(each)
        case _:
            yield condition


def _by_code(name: str, action: str, score: float, *patterns: str) -> Rule:
    return Rule(name, action, score, Code(patterns))


CONTRACT_RULES = Ruleset(
    (
        _by_code("timeout_retry", "retry_exponential", 0.85, "TIMEOUT", "DEADLINE", "TIMED_OUT"),
        _by_code("rate_limit_backoff", "retry_exponential", 0.90, "RATE_LIMIT", "429", "TOO_MANY_REQUESTS", "QUOTA"),
        _by_code(
            "server_error_fallback", "circuit_breaker", 0.80, "HTTP_5XX", "500", "502", "503", "504", "INTERNAL_ERROR"
        ),
        _by_code("budget_fallback", "fallback_model", 0.85, "BUDGET", "COST_EXCEEDED", "QUOTA_EXCEEDED"),
        _by_code("auth_notify", "notify_ops", 0.75, "AUTH", "PERMISSION", "FORBIDDEN", "401", "403"),
        _by_code("connection_retry", "retry_exponential", 0.80, "CONNECTION", "NETWORK", "DNS", "RESOLVE"),
        Rule("historical_success", None, 1.2, History(min_matches=3, min_rate=0.7)),
        Rule("escalate_repeated", "notify_ops", 0.70, Occurrences(5), adjustment=0.1),
        Rule("manual_review_high", "manual_intervention", 0.85, Occurrences(10), adjustment=0.1),
        _by_code("unknown_manual", "manual_intervention", 0.50, "UNKNOWN", "UNHANDLED", "UNEXPECTED"),
    )
)
"""The ten rules of the contract (section 5), in its order: of equal scores the first one decides."""
