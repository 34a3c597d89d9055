"""What becomes of a failure: a pure function of the candidate, its history, the actions and the policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from m10actors.recovery.actions import Action
from m10actors.recovery.confidence import Cases, basic_rate, confidence
from m10actors.recovery.rules import CONTRACT_RULES, Rule

TOP_SCORES = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generation of a folded failure, as it is evaluated.

    `since_executed`: how long ago an action was last carried out for it without a person, by the database's clock.
    """

    id: int
    generation: int
    error_code: str
    error_message: str
    source: str
    fingerprint: str
    occurrence_count: int
    since_executed: timedelta | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What came of the actions taken for failures like this one."""

    cases: tuple[Cases, ...] = ()


NO_HISTORY = History()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration allows.

    `destinations_for`: the codes of the actions that have a destination to be sent to.
    """

    auto_execute: bool = False
    min_confidence: float = 0.3
    auto_confidence: float = 0.8
    destinations_for: frozenset[str] = field(default_factory=frozenset)
    evaluator_enabled: bool = True
    execution_cooldown: timedelta = timedelta(minutes=15)


class Reason(StrEnum):
    """Why a decision is carried out by itself, or the first gate that stopped it. In the order of the gates."""

    EVALUATOR_OFF = "evaluator_off"
    NO_RULE_MATCHED = "no_rule_matched"
    BELOW_MIN_CONFIDENCE = "below_min_confidence"
    ACTION_NOT_ACTIVE = "action_not_active"
    NEEDS_APPROVAL = "needs_approval"
    NOT_AUTOMATED = "not_automated"
    BELOW_AUTO_CONFIDENCE = "below_auto_confidence"
    AUTO_EXECUTE_OFF = "auto_execute_off"
    ACTION_HAS_NO_DESTINATION = "action_has_no_destination"
    COOLING_DOWN = "cooling_down"
    EXECUTES = "executes"


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that matched, the action and score that it contributes, and in `because` what it saw."""

    rule: str
    action: str
    score: float
    adjustment: float
    because: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is proposed (`action`, None for nothing), how sure it is, and whether it is carried out by itself.

    `total` is the mean of the best three scores, `confidence` (0 .. 1) that with the adjustments; both have four
    decimals. `matched` has every rule that matched, best score first; `suggestion` says all of it to a person.
    """

    action: str | None
    total: float
    confidence: float
    matched: tuple[RuleMatch, ...]
    execute: bool
    reason: Reason
    suggestion: str

    def rules_evaluated(self) -> list[dict[str, object]]:
        """The matched rules for the column rules_evaluated, JSON-able."""
        return [
            {"rule": m.rule, "action": m.action, "score": m.score, "adjustment": m.adjustment, "because": m.because}
            for m in self.matched
        ]

    def explain(self) -> dict[str, object]:
        """The account of this decision for the column explain, JSON-able."""
        return {
            "action": self.action,
            "total": self.total,
            "confidence": self.confidence,
            "execute": self.execute,
            "reason": self.reason.value,
            "rules": [match.rule for match in self.matched],
        }


def decide(
    candidate: Candidate,
    history: History,
    actions: Mapping[str, Action],
    policy: Policy,
    rules: tuple[Rule, ...] = CONTRACT_RULES,
) -> Decision:
    """The decision for `candidate` (contracts, section 5). Depends on nothing but its arguments."""
    matched = _matches(candidate, history, rules) if policy.evaluator_enabled else ()
    total, sure = _score(matched)
    proposed = matched[0].action if matched else None
    reason = _gate(candidate, proposed, sure, actions, policy)
    selected = None if reason is Reason.BELOW_MIN_CONFIDENCE else proposed
    return Decision(
        action=selected,
        total=total,
        confidence=sure,
        matched=matched,
        execute=reason is Reason.EXECUTES,
        reason=reason,
        suggestion=_suggestion(candidate, selected, sure, matched, reason),
    )


def _matches(candidate: Candidate, history: History, rules: Iterable[Rule]) -> tuple[RuleMatch, ...]:
    """The rules that match, best score first; equal scores keep the order of the list."""
    found = (_match(rule, candidate, history) for rule in rules if rule.is_active)
    return tuple(sorted((match for match in found if match is not None), key=lambda match: -match.score))


def _match(rule: Rule, candidate: Candidate, history: History) -> RuleMatch | None:
    if candidate.occurrence_count < rule.min_occurrences:
        return None
    pattern = rule.matched_pattern(candidate.error_code)
    if pattern is None:
        return None
    because = pattern or f"{candidate.occurrence_count} occurrences"
    if rule.action is not None:
        return RuleMatch(rule.name, rule.action, rule.score, rule.adjustment, because)
    best = _proven(rule, history)
    if best is None:
        return None
    cases, rate = best
    because = f"{cases.successes} of {cases.matches} past cases succeeded"
    return RuleMatch(rule.name, cases.action, round(rate * rule.score, 4), rule.adjustment, because)


def _proven(rule: Rule, history: History) -> tuple[Cases, float] | None:
    """The most common action of those with enough cases and success; of equals the better, then the first by name."""
    rated = ((cases, confidence(cases)) for cases in history.cases if cases.matches >= rule.min_matches)
    proven = [(cases, rate) for cases, rate in rated if rate is not None and rate >= rule.min_rate]
    return min(proven, key=lambda each: (-each[0].matches, -basic_rate(each[0]), each[0].action), default=None)


def _score(matched: tuple[RuleMatch, ...]) -> tuple[float, float]:
    """Total and confidence; rounded, so that no sum misses a threshold by the last bit of a float."""
    if not matched:
        return 0.0, 0.0
    best = [match.score for match in matched[:TOP_SCORES]]
    total = sum(best) / len(best)
    adjusted = total + sum(match.adjustment for match in matched)
    return round(total, 4), round(min(1.0, max(0.0, adjusted)), 4)


def _gate(
    candidate: Candidate, proposed: str | None, sure: float, actions: Mapping[str, Action], policy: Policy
) -> Reason:
    """The first gate that stops the proposed action from being carried out by itself."""
    if not policy.evaluator_enabled:
        return Reason.EVALUATOR_OFF
    if proposed is None:
        return Reason.NO_RULE_MATCHED
    if sure < policy.min_confidence:
        return Reason.BELOW_MIN_CONFIDENCE
    action = actions.get(proposed)
    if action is None or not action.is_active:
        return Reason.ACTION_NOT_ACTIVE
    stopped = (
        (action.requires_approval, Reason.NEEDS_APPROVAL),
        (not action.is_automated, Reason.NOT_AUTOMATED),
        (sure < policy.auto_confidence, Reason.BELOW_AUTO_CONFIDENCE),
        (not policy.auto_execute, Reason.AUTO_EXECUTE_OFF),
        (action.code not in policy.destinations_for, Reason.ACTION_HAS_NO_DESTINATION),
        (_is_cooling_down(candidate, policy), Reason.COOLING_DOWN),
    )
    return next((reason for stops, reason in stopped if stops), Reason.EXECUTES)


def _is_cooling_down(candidate: Candidate, policy: Policy) -> bool:
    return candidate.since_executed is not None and candidate.since_executed < policy.execution_cooldown


_SAID: Mapping[Reason, str] = {
    Reason.EVALUATOR_OFF: "The evaluator is switched off.",
    Reason.NO_RULE_MATCHED: "No rule matches; a person decides.",
    Reason.BELOW_MIN_CONFIDENCE: "That is too unsure to propose an action; a person decides.",
    Reason.ACTION_NOT_ACTIVE: "The action is unknown or not active.",
    Reason.NEEDS_APPROVAL: "The action needs approval.",
    Reason.NOT_AUTOMATED: "The action is carried out by a person.",
    Reason.BELOW_AUTO_CONFIDENCE: "That is too unsure to act without approval.",
    Reason.AUTO_EXECUTE_OFF: "Acting without approval is switched off.",
    Reason.ACTION_HAS_NO_DESTINATION: "The action has no destination in the configuration.",
    Reason.COOLING_DOWN: "An action was carried out a short while ago; a person may approve another.",
    Reason.EXECUTES: "It is carried out now.",
}


def _suggestion(
    candidate: Candidate, action: str | None, sure: float, matched: tuple[RuleMatch, ...], reason: Reason
) -> str:
    """`retry_exponential for TIMEOUT, seen 5 times; confidence 0.88 by timeout_retry, escalate_repeated. It is …`"""
    count = candidate.occurrence_count
    seen = f"{action or 'no action'} for {candidate.error_code}, seen {count} {'time' if count == 1 else 'times'}"
    by = f"; confidence {sure:.2f} by {', '.join(match.rule for match in matched)}" if matched else ""
    return f"{seen}{by}. {_SAID[reason]}"
