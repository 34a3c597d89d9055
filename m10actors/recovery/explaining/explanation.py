"""What there is to say of a decision, as a value."""

from dataclasses import dataclass

from m10actors.recovery.decision import Decision, Seen
from m10actors.recovery.explaining.flips import Flip, flips
from m10actors.recovery.gates import Reason, closed_gates
from m10actors.recovery.rules import Ruleset
from m10actors.recovery.scoring import Standing, standings


@dataclass(frozen=True, slots=True)
class Explanation:
    """`proposed`: the action with the best score, also where it is too unsure to be proposed. `closed`: every gate that
    stops it, in their order. `refused`: why PostgreSQL did not admit what was to be carried out (`capped: …`).
    `flips`: the smallest changes first. `rules_known`: whether changes of counts, outcomes and rules were looked for.
    """

    decision: Decision
    seen: Seen
    proposed: str | None
    closed: tuple[Reason, ...]
    refused: str | None
    standings: tuple[Standing, ...]
    flips: tuple[Flip, ...]
    rules_known: bool

    @property
    def executes(self) -> bool:
        return self.decision.execute and self.refused is None

    @property
    def runner_up(self) -> Standing | None:
        """The best other action."""
        return next(iter(self.standings[1:]), None)


def explain(decision: Decision, rules: Ruleset | None = None, refused: str | None = None) -> Explanation:
    """Why it was decided so. `rules`: those that are in force; where the decision went by others, or by none, changes
    that ask for them are not looked for. ValueError if nobody said what it saw.
    """
    seen = decision.seen
    if seen is None:
        raise ValueError("nobody has said what this decision saw")
    known = rules if rules is not None and rules.version == decision.rules_version else None
    proposed = decision.matched[0].action if decision.matched else None
    facts = seen.facts
    return Explanation(
        decision=decision,
        seen=seen,
        proposed=proposed,
        closed=tuple(closed_gates(facts.candidate, proposed, decision.confidence, facts.actions, seen.policy)),
        refused=refused,
        standings=standings(decision.matched),
        flips=tuple(flip for flip in flips(decision, known) if refused is None or flip.after.action != decision.action),
        rules_known=known is not None,
    )
