"""Rules: which failure suggests which action, and how strongly."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from math import isfinite

from m10actors.recovery.conditions import All, Code, Condition, History, Identity, Occurrences, Rate, leaves
from m10actors.recovery.facts import Facts


@dataclass(frozen=True, slots=True)
class RuleMatch:
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

    def __post_init__(self) -> None:
        if (self.action is None) != (self.history is not None):
            raise ValueError(
                f"rule {self.name}: it names an action, or one history condition that must hold finds it, and not both"
            )
        if not (isfinite(self.score) and self.score >= 0 and isfinite(self.adjustment) and self.tier >= 1):
            raise ValueError(f"rule {self.name}: score is at least 0, tier at least 1, and all of it is finite")

    @property
    def history(self) -> History | None:
        """The history condition that finds the action: the only one that must hold and names no action itself."""
        found = [each for each in _required(self.when) if isinstance(each, History) and each.action is None]
        return found[0] if len(found) == 1 else None

    @property
    def is_of_identity(self) -> bool:
        """Whether it asks for what the failure is, not only how often it came or what was done about it."""
        return any(isinstance(leaf, Identity) for leaf in leaves(self.when))

    def match(self, facts: Facts) -> RuleMatch | None:
        """What it contributes. Raises whatever a pattern of the user raises."""
        because = self.when.holds(facts)
        if because is None:
            return None
        if self.action is not None:
            return RuleMatch(self.name, self.action, self.score, self.adjustment, because)
        proof = self.history.proof(facts) if self.history else None
        if proof is None:
            return None
        return RuleMatch(self.name, proof.cases.action, round(proof.rate * self.score, 4), self.adjustment, because)


@dataclass(frozen=True, slots=True)
class FailedRule:
    """A rule that raised: it counts as one that does not match."""

    rule: str
    error: str


@dataclass(frozen=True, slots=True)
class Matches:
    """What the rules come to: those that match, best score first, and those that raised."""

    matched: tuple[RuleMatch, ...] = ()
    failed: tuple[FailedRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules in their order. `version`: the same for the same rules.

    A rule of a higher tier counts only where none of a lower tier matched by what the failure is (its code, message,
    source, fingerprint): a wider set of rules changes nothing that a narrower one has decided.
    """

    rules: tuple[Rule, ...]
    version: str = field(init=False)
    _tiers: tuple[tuple[tuple[Rule, int, bool], ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rule {twice[0]}: there are two rules of that name")
        object.__setattr__(self, "version", hashlib.sha256(repr(self.rules).encode()).hexdigest()[:12])
        active = [(rule, nth, rule.is_of_identity) for nth, rule in enumerate(self.rules) if rule.is_active]
        by_tier = groupby(sorted(active, key=lambda each: each[0].tier), key=lambda each: each[0].tier)
        object.__setattr__(self, "_tiers", tuple(tuple(rules) for _, rules in by_tier))

    def matches(self, facts: Facts) -> Matches:
        """What they say of `facts`. One that raises is told of and takes no part."""
        found: list[tuple[RuleMatch, int, int]] = []
        failed: list[FailedRule] = []
        for tier in self._tiers:
            is_identified = False
            for rule, nth, is_of_identity in tier:
                match _asked(rule, facts):
                    case RuleMatch() as match:
                        found.append((match, rule.priority, nth))
                        is_identified = is_identified or is_of_identity
                    case FailedRule() as failure:
                        failed.append(failure)
            if is_identified:
                break
        found.sort(key=lambda each: (-each[0].score, -each[1], each[2]))
        return Matches(tuple(match for match, _, _ in found), tuple(failed))

    def shadowed(self, facts: Facts, matched: Sequence[RuleMatch]) -> tuple[str, ...]:
        """Of higher tiers the rules that would have matched beside `matched`, had none of a lower tier by what the
        failure is.
        """
        names = {match.rule for match in matched}
        for nth, tier in enumerate(self._tiers, start=1):
            if any(is_of_identity and rule.name in names for rule, _, is_of_identity in tier):
                beyond = (rule for later in self._tiers[nth:] for rule, _, _ in later)
                return tuple(rule.name for rule in beyond if isinstance(_asked(rule, facts), RuleMatch))
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


def _asked(rule: Rule, facts: Facts) -> RuleMatch | FailedRule | None:
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
