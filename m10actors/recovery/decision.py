"""What becomes of a failure: a pure function of the candidate, its history, the actions and the policy."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from m10actors.recovery import records, wording
from m10actors.recovery.actions import Action
from m10actors.recovery.facts import Candidate, Facts, History
from m10actors.recovery.gates import Policy, Reason, first_gate
from m10actors.recovery.rules import CONTRACT_RULES, FailedRule, Matches, RuleMatch, Ruleset
from m10actors.recovery.scoring import Standing, score, standings

RULES: Final = "rules"
"""The evaluator that is built in."""
NOBODY: Final = "nobody"
"""In place of an evaluator, where none of those that were asked has decided."""


class Seen(Struct, frozen=True):
    """What a decision was made from, beside the rules."""

    facts: Facts
    policy: Policy


class Decision(Struct, frozen=True):
    """What is proposed (`action`, None for nothing), how sure it is, and whether it is carried out by itself.

    `total` is the mean of the best three scores, `confidence` (0 .. 1) that with the adjustments; both have four
    decimals. `matched` has every rule that matched, best score first; `suggestion` says all of it to a person.
    `failed_rules` raised, and took no part. `evaluator` proposed, by the rules of `rules_version` where it was the one
    that is built in; `details` are its own. `seen` is None where nobody has said what it saw.
    """

    action: str | None
    total: float
    confidence: float
    matched: tuple[RuleMatch, ...]
    execute: bool
    reason: Reason
    suggestion: str
    failed_rules: tuple[FailedRule, ...] = ()
    evaluator: str = RULES
    rules_version: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    seen: Seen | None = None

    @property
    def runner_up(self) -> Standing | None:
        """The best other action."""
        return next(iter(standings(self.matched)[1:]), None)

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
            "rules_version": self.rules_version,
            "evaluator": self.evaluator,
            "history": wording.past_cases(self.seen.facts.history) if self.seen else "",
        }

    def record(self) -> dict[str, object]:
        """All that it saw and came to, JSON-able: `decide_again` makes the same of it. Empty if nobody said what it
        saw.
        """
        return self.own() | self.context()

    def own(self) -> dict[str, object]:
        """The part of the record that is this candidate's alone."""
        if self.seen is None:
            return {}
        written: dict[str, object] = {
            "e": self.evaluator,
            **records.of_facts(self.seen.facts),
            "m": [records.of_match(match) for match in self.matched],
            "d": [self.action, self.total, self.confidence, self.reason.value],
        }
        if self.failed_rules:
            written["f"] = [[failed.rule, failed.error] for failed in self.failed_rules]
        if self.details:
            written["x"] = dict(self.details)
        return written

    def context(self) -> dict[str, object]:
        """The part of the record that decisions by the same rules share, while actions and policy stay as they are."""
        if self.seen is None:
            return {}
        return {
            "v": records.VERSION,
            "r": self.rules_version,
            **records.of_surroundings(self.seen.facts.actions, self.seen.policy),
        }


def decide(
    candidate: Candidate,
    history: History,
    actions: Mapping[str, Action],
    policy: Policy,
    ruleset: Ruleset = CONTRACT_RULES,
) -> Decision:
    """The decision for `candidate` (contracts, section 5). Depends on nothing but its arguments."""
    return by_rules(Facts(candidate, history, actions), policy, ruleset)


def by_rules(facts: Facts, policy: Policy, ruleset: Ruleset) -> Decision:
    """The same for facts that are there already."""
    matches = ruleset.matches(facts) if policy.evaluator_enabled else Matches()
    return conclude(facts, matches, policy, evaluator=RULES, rules_version=ruleset.version)


def conclude(
    facts: Facts,
    matches: Matches,
    policy: Policy,
    *,
    evaluator: str,
    rules_version: str = "",
    details: Mapping[str, object] | None = None,
) -> Decision:
    """The decision that comes of what was proposed: score, gates, and the words for it."""
    matched = matches.matched
    total, sure = score(matched)
    proposed = matched[0].action if matched else None
    reason = first_gate(facts.candidate, proposed, sure, facts.actions, policy)
    selected = None if reason is Reason.BELOW_MIN_CONFIDENCE else proposed
    return Decision(
        action=selected,
        total=total,
        confidence=sure,
        matched=matched,
        execute=reason is Reason.EXECUTES,
        reason=reason,
        suggestion=wording.suggestion(facts.candidate, selected, sure, matched, reason),
        failed_rules=matches.failed,
        evaluator=evaluator,
        rules_version=rules_version,
        details=details or {},
        seen=Seen(facts, policy),
    )


def from_record(record: Mapping[str, Any]) -> Decision:
    """The decision as it was recorded. ValueError if it is no record of one."""
    if record.get("v") != records.VERSION:
        raise ValueError(f"no record of a decision of version {records.VERSION}")
    try:
        return _recorded(record)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no record of a decision: {type(error).__name__} {error}") from error


def decide_again(record: Mapping[str, Any], ruleset: Ruleset | None = None) -> Decision:
    """The decision that comes of what was seen then: by `ruleset`, or with None by what was proposed then. Another
    evaluator than the rules is not asked again. ValueError as for `from_record`.
    """
    former = from_record(record)
    assert former.seen is not None
    return reconsider(former, former.seen, ruleset)


def reconsider(former: Decision, seen: Seen, ruleset: Ruleset | None = None) -> Decision:
    """The decision that would have come of `seen` in place of what `former` saw; by `ruleset` as `decide_again`."""
    if ruleset is not None and former.evaluator == RULES:
        return by_rules(seen.facts, seen.policy, ruleset)
    return conclude(
        seen.facts,
        Matches(former.matched, former.failed_rules),
        seen.policy,
        evaluator=former.evaluator,
        rules_version=former.rules_version,
        details=former.details,
    )


def _recorded(record: Mapping[str, Any]) -> Decision:
    facts, policy = records.seen(record)
    matched = tuple(records.match(each) for each in record["m"])
    action, total, confidence, reason = record["d"]
    return Decision(
        action=action,
        total=float(total),
        confidence=float(confidence),
        matched=matched,
        execute=reason == Reason.EXECUTES,
        reason=Reason(reason),
        suggestion=wording.suggestion(facts.candidate, action, float(confidence), matched, Reason(reason)),
        failed_rules=tuple(FailedRule(*failed) for failed in record.get("f", ())),
        evaluator=record["e"],
        rules_version=record["r"],
        details=record.get("x", {}),
        seen=Seen(facts, policy),
    )
