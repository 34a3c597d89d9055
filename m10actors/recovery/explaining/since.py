"""What is otherwise now than when it was decided."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

from m10actors.recovery.actions import Action
from m10actors.recovery.confidence import Cases
from m10actors.recovery.decision import Decision
from m10actors.recovery.gates import Policy
from m10actors.recovery.phrases import counted

_KEYS: Mapping[str, str] = {"destinations_for": "actions", "quiet_hours": "autonomy.quiet_hours"}


def differences(then: Decision, now: Decision) -> tuple[str, ...]:
    """What two decisions on one candidate went by, where it differs, in sentences."""
    assert then.seen is not None
    assert now.seen is not None
    facts, later = then.seen.facts, now.seen.facts
    return (
        *_counts(facts.candidate.occurrence_count, later.candidate.occurrence_count),
        *_cases("this error code", facts.history.code, later.history.code),
        *_cases("this very failure", facts.history.fingerprint, later.history.fingerprint),
        *_rules(then.rules_version, now.rules_version),
        *_policy(then.seen.policy, now.seen.policy),
        *_actions(facts.actions, later.actions),
    )


def _counts(then: int, now: int) -> Iterator[str]:
    if then != now:
        yield f"it was seen {counted(then, 'time')} then, {now} now"


def _cases(scope: str, then: tuple[Cases, ...], now: tuple[Cases, ...]) -> Iterator[str]:
    was, is_ = ([(cases.action, cases.matches, cases.successes) for cases in known] for known in (then, now))
    if was != is_:
        before, after = (sum(matches for _, matches, _ in known) for known in (was, is_))
        yield f"there were {before} past cases of {scope} then, {after} now"


def _rules(then: str, now: str) -> Iterator[str]:
    if then != now:
        yield f"other rules: version {then} then, {now} now"


def _policy(then: Policy, now: Policy) -> Iterator[str]:
    for field in fields(Policy):
        if getattr(then, field.name) != getattr(now, field.name):
            yield f"{_KEYS.get(field.name, f'decisions.{field.name}')} has another value in the configuration"


def _actions(then: Mapping[str, Action], now: Mapping[str, Action]) -> Iterator[str]:
    def needs(action: Action | None) -> tuple[bool, ...] | None:
        return None if action is None else (action.is_automated, action.requires_approval, action.is_active)

    for code in sorted(then.keys() | now.keys()):
        if needs(then.get(code)) != needs(now.get(code)):
            yield f"{code} has changed in suggestion_action"
