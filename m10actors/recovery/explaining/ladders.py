"""Which changes are tried: of each thing, in each direction, the smallest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Final

from m10actors.recovery.conditions import Occurrences, Rate, leaves
from m10actors.recovery.decision import Decision, Seen
from m10actors.recovery.explaining.changes import (
    ActionFlag,
    Change,
    Destination,
    Later,
    Outcomes,
    Recurrence,
    RuleChange,
    Scene,
    Setting,
)
from m10actors.recovery.facts import Candidate
from m10actors.recovery.quiet_hours import QuietHours
from m10actors.recovery.rules import Rule, Ruleset

MOST_OUTCOMES: Final = 10
NEAREST: Final = 50
"""How many counts are tried in each direction: a file can have a thousand rules."""
_MOST_SCORE: Final = 2.0
_MINUTE: Final = timedelta(minutes=1)
_LAST_DAY: Final = datetime(9999, 12, 1, tzinfo=UTC)
"""What would end later never ends."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Changes of one thing in one direction, the smallest first. `is_monotone`: beyond one that flips the decision,
    all do.
    """

    steps: Sequence[Change]
    is_monotone: bool = False


def ladders(decision: Decision, scene: Scene) -> Iterator[Ladder]:
    """Everything that is tried. Numbers of the configuration move by hundredths."""
    seen, proposed = scene.seen, decision.matched[0].action if decision.matched else None
    yield Ladder(tuple(_waits(seen)))
    if scene.rules is not None:
        yield from _recurrences(seen.facts.candidate, scene.rules)
        yield from _outcomes(decision, seen)
    yield from _thresholds(seen)
    if scene.rules is not None:
        yield from _rules(decision, scene.rules)
    yield from (Ladder((change,)) for change in _switches(seen))
    if proposed is not None:
        yield from (Ladder((change,)) for change in _of_action(seen, proposed))


def _waits(seen: Seen) -> Iterator[Later]:
    """Until the cooldown ends, until the quiet hours end, until both have ended."""
    candidate, policy = seen.facts.candidate, seen.policy
    since = candidate.since_executed
    cooling = timedelta(0) if since is None else policy.execution_cooldown - since
    longest = _LAST_DAY - candidate.at
    waits = {cooling}
    for begin in (timedelta(0), max(cooling, timedelta(0))):
        quiet = policy.quiet_hours.left_at(candidate.at + begin) if begin < longest else None
        if quiet is not None:
            waits.add(begin + quiet)
    yield from (Later(wait) for wait in sorted(waits) if timedelta(0) < wait < longest)


def _recurrences(candidate: Candidate, rules: Ruleset) -> Iterator[Ladder]:
    """To where a condition on how often it was seen begins to hold, and to where it ends."""
    more: set[int] = set()
    for rule in rules.rules:
        for leaf in leaves(rule.when) if rule.is_active else ():
            match leaf:
                case Occurrences(at_least):
                    missing = at_least - candidate.occurrence_count
                case Rate(at_least, within):
                    missing = ceil(at_least - candidate.seen_within(within))
                case _:
                    continue
            more |= {missing, missing - 1}
    before = candidate.occurrence_count
    above = [times for times in sorted(more) if times > 0]
    below = [times for times in sorted(more, reverse=True) if -before < times < 0]
    for nearest in (above[:NEAREST], below[:NEAREST]):
        yield Ladder(tuple(Recurrence(times, before) for times in nearest))


def _outcomes(decision: Decision, seen: Seen) -> Iterator[Ladder]:
    """Of the actions that were proposed, and of those that have a history."""
    history = seen.facts.history
    known = {cases.action for cases in (*history.code, *history.fingerprint)}
    for action in sorted(known | {match.action for match in decision.matched}):
        for helped in (True, False):
            yield Ladder(tuple(Outcomes(action, helped, count) for count in range(1, MOST_OUTCOMES + 1)))


def _thresholds(seen: Seen) -> Iterator[Ladder]:
    for name in ("min_confidence", "auto_confidence"):
        before: float = getattr(seen.policy, name)
        for values in _hundredths(before, 1.0):
            steps = tuple(Setting(name, f"decisions.{name}", value, before) for value in values)
            yield Ladder(steps, is_monotone=True)


def _rules(decision: Decision, rules: Ruleset) -> Iterator[Ladder]:
    """Of each rule that matched: another score, no adjustment, off."""
    matched = {match.rule for match in decision.matched}
    for rule in (each for each in rules.rules if each.name in matched):
        for values in _hundredths(rule.score, _MOST_SCORE):
            steps = tuple(RuleChange(rule.name, "score", value, rule.score) for value in values)
            yield Ladder(steps, is_monotone=True)
        yield from (Ladder((change,)) for change in _taken_back(rule))


def _taken_back(rule: Rule) -> Iterator[RuleChange]:
    if rule.adjustment:
        yield RuleChange(rule.name, "adjustment", 0.0, rule.adjustment)
    yield RuleChange(rule.name, "is_active", False, True)


def _switches(seen: Seen) -> Iterator[Setting]:
    policy, since = seen.policy, seen.facts.candidate.since_executed
    if not policy.evaluator_enabled:
        yield Setting("evaluator_enabled", "decisions.evaluator_enabled", True, False)
    yield Setting("auto_execute", "decisions.auto_execute", not policy.auto_execute, policy.auto_execute)
    if since is not None:
        cooldown = max(since // _MINUTE, 0) * _MINUTE
        cooldown += timedelta(0) if since < policy.execution_cooldown else _MINUTE
        yield Setting("execution_cooldown", "decisions.execution_cooldown", cooldown, policy.execution_cooldown)
    if policy.quiet_hours.spans:
        yield Setting("quiet_hours", "autonomy.quiet_hours", QuietHours(), policy.quiet_hours)


def _of_action(seen: Seen, code: str) -> Iterator[Change]:
    if (action := seen.facts.actions.get(code)) is not None:
        yield ActionFlag(code, "requires_approval", not action.requires_approval)
        yield ActionFlag(code, "is_automated", not action.is_automated)
        yield ActionFlag(code, "is_active", not action.is_active)
    yield Destination(code, code not in seen.policy.destinations_for)


def _hundredths(before: float, most: float) -> tuple[list[float], list[float]]:
    """The whole hundredths below and above a number, the nearest first, from 0 up to `most`."""
    below = [value / 100 for value in range(ceil(round(before * 100, 9)) - 1, -1, -1)]
    above = [value / 100 for value in range(floor(round(before * 100, 9)) + 1, round(most * 100) + 1)]
    return below, above
