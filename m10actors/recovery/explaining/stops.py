"""What each closed gate comes to in words: the value, the limit, and what it is called where it can be changed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from m10actors.recovery.explaining.explanation import Explanation
from m10actors.recovery.gates import Reason
from m10actors.recovery.phrases import span

_SAID: Final[Mapping[Reason, str]] = {
    Reason.EVALUATOR_OFF: "the evaluator is switched off (decisions.evaluator_enabled)",
    Reason.NO_RULE_MATCHED: "nothing is proposed that could be carried out",
    Reason.BELOW_MIN_CONFIDENCE: "the confidence is {sure:g}, and from {least:g} on an action is proposed "
    "(decisions.min_confidence)",
    Reason.ACTION_NOT_ACTIVE: "{action} is unknown or not active (suggestion_action)",
    Reason.NEEDS_APPROVAL: "{action} needs the approval of a person (requires_approval in suggestion_action)",
    Reason.NOT_AUTOMATED: "{action} is carried out by a person (is_automated in suggestion_action)",
    Reason.BELOW_AUTO_CONFIDENCE: "the confidence is {sure:g}, and from {enough:g} on it acts by itself "
    "(decisions.auto_confidence)",
    Reason.AUTO_EXECUTE_OFF: "acting without a person is switched off (decisions.auto_execute)",
    Reason.ACTION_HAS_NO_DESTINATION: "nothing says where {action} goes (actions.{action} in the configuration)",
    Reason.COOLING_DOWN: "an action was carried out {since} before, and for {cooldown} none follows by itself: "
    "{left} more (decisions.execution_cooldown)",
    Reason.QUIET_HOURS: "{at} lies in quiet hours, {quiet} {zone} (autonomy.quiet_hours)",
}


def closed(reason: Reason, explanation: Explanation) -> str:
    """A sentence for a gate of `closed_gates`."""
    candidate, policy = explanation.seen.facts.candidate, explanation.seen.policy
    since, quiet = candidate.since_executed or timedelta(0), policy.quiet_hours.at(candidate.at)
    return _SAID[reason].format(
        action=explanation.proposed,
        sure=explanation.decision.confidence,
        least=policy.min_confidence,
        enough=policy.auto_confidence,
        since=span(since),
        cooldown=span(policy.execution_cooldown),
        left=span(policy.execution_cooldown - since),
        at=f"{candidate.at:%H:%M} UTC",
        quiet=quiet.text if quiet else "",
        zone=policy.quiet_hours.zone_name,
    )
