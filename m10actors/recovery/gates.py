"""Gates: what stands between a proposed action and its being carried out by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from m10actors.recovery.actions import Action
from m10actors.recovery.facts import Candidate
from m10actors.recovery.quiet_hours import QuietHours


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
    quiet_hours: QuietHours = field(default_factory=QuietHours)


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
    QUIET_HOURS = "quiet_hours"
    STOPPED = "stopped"
    CAPPED = "capped"
    BUDGET_SPENT = "budget_spent"
    EXECUTES = "executes"


def first_gate(
    candidate: Candidate, proposed: str | None, sure: float, actions: Mapping[str, Action], policy: Policy
) -> Reason:
    """The first gate that stops the proposed action from being carried out by itself; EXECUTES if none does."""
    return next(closed_gates(candidate, proposed, sure, actions, policy), Reason.EXECUTES)


def closed_gates(
    candidate: Candidate, proposed: str | None, sure: float, actions: Mapping[str, Action], policy: Policy
) -> Iterator[Reason]:
    """Every gate that stops it, in their order. What an unknown action needs is not known."""
    if not policy.evaluator_enabled:
        yield Reason.EVALUATOR_OFF
        return
    if proposed is None:
        yield Reason.NO_RULE_MATCHED
        return
    if sure < policy.min_confidence:
        yield Reason.BELOW_MIN_CONFIDENCE
    action = actions.get(proposed)
    if action is None or not action.is_active:
        yield Reason.ACTION_NOT_ACTIVE
    if action is not None and action.requires_approval:
        yield Reason.NEEDS_APPROVAL
    if action is not None and not action.is_automated:
        yield Reason.NOT_AUTOMATED
    if sure < policy.auto_confidence:
        yield Reason.BELOW_AUTO_CONFIDENCE
    if not policy.auto_execute:
        yield Reason.AUTO_EXECUTE_OFF
    if proposed not in policy.destinations_for:
        yield Reason.ACTION_HAS_NO_DESTINATION
    if _is_cooling_down(candidate, policy):
        yield Reason.COOLING_DOWN
    if policy.quiet_hours.at(candidate.at) is not None:
        yield Reason.QUIET_HOURS


def _is_cooling_down(candidate: Candidate, policy: Policy) -> bool:
    return candidate.since_executed is not None and candidate.since_executed < policy.execution_cooldown
