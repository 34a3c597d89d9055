"""Rules: which failure suggests which action, and how strongly."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule matches a candidate when each of its conditions holds.

    `patterns`: one of them is contained in the upper-cased error code, a number only as a whole number.
    `min_occurrences`: so often has the failure been seen.
    `min_matches`, `min_rate`: an action has that many past cases and that rate of success; the rule then proposes the
    most common such action, and `score` is the factor on its rate.
    `adjustment` is added to the confidence when the rule matches.
    """

    name: str
    action: str | None
    score: float
    patterns: tuple[str, ...] = ()
    min_occurrences: int = 1
    min_matches: int = 0
    min_rate: float = 0.0
    adjustment: float = 0.0
    is_active: bool = True

    def __post_init__(self) -> None:
        if (self.action is None) != self.is_historical:
            raise ValueError(
                f"rule {self.name}: it names an action, or it takes one from history (min_matches), and not both"
            )
        if self.score < 0 or self.min_occurrences < 1 or self.min_matches < 0 or not 0 <= self.min_rate <= 1:
            raise ValueError(
                f"rule {self.name}: score and min_matches are at least 0, min_occurrences at least 1, min_rate 0 .. 1"
            )

    @property
    def is_historical(self) -> bool:
        return self.min_matches > 0

    def matched_pattern(self, error_code: str) -> str | None:
        """The first part of the upper-cased `error_code` that is one of `patterns`; empty if the rule has none."""
        return _first_match(self.patterns, error_code)


def recheck_thresholds(rules: tuple[Rule, ...]) -> tuple[int, ...]:
    """The occurrence counts at which another evaluation can come out differently, ascending."""
    return tuple(sorted({rule.min_occurrences for rule in rules if rule.is_active and rule.min_occurrences > 1}))


@lru_cache(maxsize=4096)
def _first_match(patterns: tuple[str, ...], error_code: str) -> str | None:
    found = _expression(patterns).search(error_code.upper())
    return found[0] if found else None


@cache
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_bounded(pattern.upper()) for pattern in patterns))


def _bounded(pattern: str) -> str:
    """A number stands alone: E15003 does not contain 500."""
    return rf"(?<![0-9]){pattern}(?![0-9])" if re.fullmatch("[0-9]+", pattern) else re.escape(pattern)


CONTRACT_RULES = (
    Rule("timeout_retry", "retry_exponential", 0.85, ("TIMEOUT", "DEADLINE", "TIMED_OUT")),
    Rule("rate_limit_backoff", "retry_exponential", 0.90, ("RATE_LIMIT", "429", "TOO_MANY_REQUESTS", "QUOTA")),
    Rule("server_error_fallback", "circuit_breaker", 0.80, ("HTTP_5XX", "500", "502", "503", "504", "INTERNAL_ERROR")),
    Rule("budget_fallback", "fallback_model", 0.85, ("BUDGET", "COST_EXCEEDED", "QUOTA_EXCEEDED")),
    Rule("auth_notify", "notify_ops", 0.75, ("AUTH", "PERMISSION", "FORBIDDEN", "401", "403")),
    Rule("connection_retry", "retry_exponential", 0.80, ("CONNECTION", "NETWORK", "DNS", "RESOLVE")),
    Rule("historical_success", None, 1.2, min_matches=3, min_rate=0.7),
    Rule("escalate_repeated", "notify_ops", 0.70, min_occurrences=5, adjustment=0.1),
    Rule("manual_review_high", "manual_intervention", 0.85, min_occurrences=10, adjustment=0.1),
    Rule("unknown_manual", "manual_intervention", 0.50, ("UNKNOWN", "UNHANDLED", "UNEXPECTED")),
)
"""The ten rules of the contract (section 5), in its order: of equal scores the first one decides."""
