"""Decisions by hand: the ten rules as somebody writes them who needs them once, and what the engine stores of them.

Nothing of the engine is imported here: the handlers of other queues (bench/peers) decide with it too.
"""

from collections.abc import Sequence
from typing import Any

ACTION = "retry_exponential"
CONFIDENCE = 0.85
WORDS = (
    ("rate_limit_backoff", "retry_exponential", 0.90, ("RATE_LIMIT", "429", "TOO_MANY_REQUESTS", "QUOTA")),
    ("timeout_retry", "retry_exponential", 0.85, ("TIMEOUT", "DEADLINE", "TIMED_OUT")),
    ("budget_fallback", "fallback_model", 0.85, ("BUDGET", "COST_EXCEEDED", "QUOTA_EXCEEDED")),
    ("server_error_fallback", "circuit_breaker", 0.80, ("HTTP_5XX", "500", "502", "503", "504", "INTERNAL_ERROR")),
    ("connection_retry", "retry_exponential", 0.80, ("CONNECTION", "NETWORK", "DNS", "RESOLVE")),
    ("auth_notify", "notify_ops", 0.75, ("AUTH", "PERMISSION", "FORBIDDEN", "401", "403")),
    ("unknown_manual", "manual_intervention", 0.50, ("UNKNOWN", "UNHANDLED", "UNEXPECTED")),
)
REPEATED = (("manual_review_high", "manual_intervention", 0.85, 10), ("escalate_repeated", "notify_ops", 0.70, 5))
CONTEXT = "0123456789abcdef" * 2
"""In place of what the records of decisions share."""
Decided = tuple[int, str, float, str, dict[str, Any], list[Any], dict[str, Any] | None]
"""Id, action, confidence, suggestion, explain, rules, record."""


def trivial(row: Sequence[Any]) -> Decided:
    """The same action for everybody, without a record."""
    return *_decided(row, [("bench", ACTION, CONFIDENCE, "bench")], "bench"), None


def by_words(row: Sequence[Any]) -> Decided:
    """By the words in its error code, and by how often it was seen."""
    code = row[3].upper()
    matched = [
        (rule, action, score, f"the error code contains {word}")
        for rule, action, score, words in WORDS
        if (word := next((word for word in words if word in code), None))
    ]
    matched += [
        (rule, action, score, f"seen {row[7]} times") for rule, action, score, least in REPEATED if row[7] >= least
    ]
    matched.sort(key=lambda match: -match[2])
    decided = _decided(row, matched, "rules")
    _, action, sure, *_ = decided
    record = {
        "generation": 1, "e": "rules", "context": CONTEXT,
        "c": {"id": row[0], "gen": row[1], "code": row[3], "msg": row[4], "src": row[5], "fp": row[6], "n": row[7],
              "at": row[8].isoformat(), "age": 0},
        "h": {"code": [], "fp": []},
        "m": [[name, what, score, 0.0, because] for name, what, score, because in matched],
        "d": [action, sure, sure, "executes"],
    }  # fmt: skip
    return *decided, record


def _decided(
    row: Sequence[Any], matched: Sequence[tuple[str, str, float, str]], evaluator: str
) -> tuple[int, str, float, str, dict[str, Any], list[Any]]:
    rule, action, _, _ = matched[0]
    sure = round(sum(match[2] for match in matched[:3]) / len(matched[:3]), 4)
    explain = {
        "action": action, "total": sure, "confidence": sure, "execute": True, "reason": "executes",
        "rules": [match[0] for match in matched], "rules_version": "by hand", "evaluator": evaluator,
        "history": "no past cases yet: 0 of the 3 that history needs",
    }  # fmt: skip
    rules = [
        {"rule": name, "action": what, "score": score, "adjustment": 0.0, "because": because}
        for name, what, score, because in matched
    ]
    suggestion = f"{action} for {row[3]}, seen {row[7]} time; confidence {sure} by {rule}. It is carried out now."
    return row[0], action, sure, suggestion, explain, rules
