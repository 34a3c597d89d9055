"""A decision in the words of whoever is on call at night."""

from collections.abc import Mapping, Sequence

from m10actors.recovery.confidence import MIN_CASES
from m10actors.recovery.facts import Candidate, History
from m10actors.recovery.gates import Reason
from m10actors.recovery.phrases import counted
from m10actors.recovery.rules import RuleMatch

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
    Reason.QUIET_HOURS: "It falls into quiet hours; a person may approve it.",
    Reason.STOPPED: "Operators have stopped all actions that no person approves.",
    Reason.CAPPED: "As many as may be were carried out without a person within this hour.",
    Reason.BUDGET_SPENT: "The attempts of this round without a person are spent.",
    Reason.EXECUTES: "It is carried out now.",
}


def suggestion(
    candidate: Candidate, action: str | None, sure: float, matched: Sequence[RuleMatch], reason: Reason
) -> str:
    """`retry_exponential for TIMEOUT, seen 5 times; confidence 0.88 by timeout_retry, escalate_repeated. It is …`"""
    seen = f"{action or 'no action'} for {candidate.error_code}, seen {counted(candidate.occurrence_count, 'time')}"
    by = f"; confidence {sure:.2f} by {', '.join([match.rule for match in matched])}" if matched else ""
    return f"{seen}{by}. {_SAID[reason]}"


def past_cases(history: History) -> str:
    """What there is to go by, or how much is missing before history counts."""
    if not history.code and not history.fingerprint:
        return f"no past cases yet: 0 of the {MIN_CASES} that history needs"
    own, alike = (sum(cases.matches for cases in scope) for scope in (history.fingerprint, history.code))
    most = max((cases.matches for cases in (*history.fingerprint, *history.code)), default=0)
    if most < MIN_CASES:
        so_far = "no past cases yet" if not most else f"{counted(most, 'past case')} so far"
        return f"{so_far}: {most} of the {MIN_CASES} that history needs"
    return f"{counted(alike, 'past case')} of this error code, {own} of this very failure"
