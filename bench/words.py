"""Decisions by hand: the ten rules as somebody writes them who needs them once, and the JSON that the engine stores."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.evaluators import ACTION, CONFIDENCE

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
ACTIONS = {
    "skip_task": ["apd"], "notify_ops": ["ad"], "fallback_model": ["ad"], "rollback_state": ["pd"],
    "circuit_breaker": ["apd"], "retry_exponential": ["ad"], "manual_intervention": ["pd"],
}  # fmt: skip
POLICY = {"on": True, "min": 0.3, "auto": True, "cool": 900_000_000, "sure": 0.8}


def trivial(row: Sequence[Any]) -> Mapping[str, object]:
    """The same action for everybody."""
    return _written(row, [("bench", ACTION, CONFIDENCE, "bench")], "bench")


def by_words(row: Sequence[Any]) -> Mapping[str, object]:
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
    return _written(row, matched, "rules")


def _written(
    row: Sequence[Any], matched: Sequence[tuple[str, str, float, str]], evaluator: str
) -> Mapping[str, object]:
    """What `EVERY_ROW` takes."""
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
    record = {
        "generation": 1, "v": 1, "e": evaluator, "r": "by hand",
        "c": {"id": row[0], "gen": row[1], "code": row[3], "msg": row[4], "src": row[5], "fp": row[6], "n": row[7],
              "at": row[8].isoformat(), "age": 0},
        "h": {"code": [], "fp": []}, "a": ACTIONS, "p": POLICY,
        "m": [[name, what, score, 0.0, because] for name, what, score, because in matched],
        "d": [action, sure, sure, "executes"],
    }  # fmt: skip
    suggestion = f"{action} for {row[3]}, seen {row[7]} time; confidence {sure} by {rule}. It is carried out now."
    return {
        "id": row[0], "action": action, "sure": sure, "suggestion": suggestion, "explain": explain, "rules": rules,
        "record": record,
    }  # fmt: skip
