"""What a decision saw, as JSON and back without loss. docs/deciding.md has the keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from m10actors.recovery.actions import Action
from m10actors.recovery.confidence import Cases
from m10actors.recovery.facts import Candidate, Facts, History
from m10actors.recovery.gates import Policy
from m10actors.recovery.quiet_hours import QuietHours
from m10actors.recovery.rules import RuleMatch

VERSION: Final = 1
_MICROSECOND: Final = timedelta(microseconds=1)


def of_facts(facts: Facts) -> dict[str, object]:
    """The keys c (candidate) and h (history)."""
    history = facts.history
    return {
        "c": _of_candidate(facts.candidate),
        "h": {
            "code": [_of_cases(each) for each in history.code],
            "fp": [_of_cases(each) for each in history.fingerprint],
        },
    }


def of_surroundings(actions: Mapping[str, Action], policy: Policy) -> dict[str, object]:
    """The keys a (actions) and p (policy)."""
    return {
        "a": {code: _of_action(action, code in policy.destinations_for) for code, action in actions.items()},
        "p": _of_policy(policy, actions),
    }


def seen(record: Mapping[str, Any]) -> tuple[Facts, Policy]:
    """What `of_facts` and `of_surroundings` were given."""
    history, actions = record["h"], record["a"]
    facts = Facts(
        _candidate(record["c"]),
        History(
            code=tuple(Cases(*cases) for cases in history["code"]),
            fingerprint=tuple(Cases(*cases) for cases in history["fp"]),
        ),
        {code: _action(code, *given) for code, given in actions.items()},
    )
    return facts, _policy(record["p"], [code for code, (letters, *_) in actions.items() if "d" in letters])


def of_match(match: RuleMatch) -> list[object]:
    """One of the key m."""
    return [match.rule, match.action, match.score, match.adjustment, match.because]


def match(record: Sequence[Any]) -> RuleMatch:
    rule, action, score, adjustment, because = record
    return RuleMatch(rule, action, float(score), float(adjustment), because)


def _of_candidate(candidate: Candidate) -> dict[str, object]:
    written: dict[str, object] = {
        "id": candidate.id,
        "gen": candidate.generation,
        "code": candidate.error_code,
        "msg": candidate.error_message,
        "src": candidate.source,
        "fp": candidate.fingerprint,
        "n": candidate.occurrence_count,
        "at": candidate.at.isoformat(),
    }
    if candidate.since_executed is not None:
        written["ran"] = _of_duration(candidate.since_executed)
    if candidate.age is not None:
        written["age"] = _of_duration(candidate.age)
    if candidate.rates:
        written["rates"] = [[window // timedelta(seconds=1), seen] for window, seen in candidate.rates]
    return written


def _candidate(record: Mapping[str, Any]) -> Candidate:
    return Candidate(
        id=record["id"],
        generation=record["gen"],
        error_code=record["code"],
        error_message=record["msg"],
        source=record["src"],
        fingerprint=record["fp"],
        occurrence_count=record["n"],
        at=datetime.fromisoformat(record["at"]),
        since_executed=_duration(record["ran"]) if "ran" in record else None,
        age=_duration(record["age"]) if "age" in record else None,
        rates=tuple((timedelta(seconds=window), float(seen)) for window, seen in record.get("rates", ())),
    )


def _of_cases(cases: Cases) -> list[object]:
    return [cases.action, cases.matches, cases.successes, cases.weighted_rate, cases.weight]


def _of_action(action: Action, has_destination: bool) -> list[object]:
    """Letters: a automated, p a person has to approve it, x not active, d has a destination. Then what came of it, if
    anything is known.
    """
    letters = (
        ("a" if action.is_automated else "")
        + ("p" if action.requires_approval else "")
        + ("" if action.is_active else "x")
        + ("d" if has_destination else "")
    )
    return [letters, action.applications, action.successes] if action.applications else [letters]


def _action(code: str, letters: str, applications: int = 0, successes: int = 0) -> Action:
    return Action(
        code=code,
        is_automated="a" in letters,
        requires_approval="p" in letters,
        is_active="x" not in letters,
        applications=applications,
        successes=successes,
    )


def _of_policy(policy: Policy, actions: Mapping[str, Action]) -> dict[str, object]:
    written: dict[str, object] = {
        "auto": policy.auto_execute,
        "min": policy.min_confidence,
        "sure": policy.auto_confidence,
        "on": policy.evaluator_enabled,
        "cool": _of_duration(policy.execution_cooldown),
    }
    if others := sorted(policy.destinations_for - actions.keys()):
        written["to"] = others
    if policy.quiet_hours.spans:
        written["quiet"] = [policy.quiet_hours.zone_name, *(span.text for span in policy.quiet_hours.spans)]
    return written


def _policy(record: Mapping[str, Any], destinations_for: Sequence[str]) -> Policy:
    zone_name, *spans = record.get("quiet", ("UTC",))
    return Policy(
        auto_execute=record["auto"],
        min_confidence=float(record["min"]),
        auto_confidence=float(record["sure"]),
        destinations_for=frozenset((*destinations_for, *record.get("to", ()))),
        evaluator_enabled=record["on"],
        execution_cooldown=_duration(record["cool"]),
        quiet_hours=QuietHours.parse(spans, zone_name),
    )


def _of_duration(duration: timedelta) -> int:
    """In microseconds: a float of seconds would lose some of a long one."""
    return duration // _MICROSECOND


def _duration(microseconds: int) -> timedelta:
    return microseconds * _MICROSECOND
