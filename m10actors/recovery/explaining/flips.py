"""The smallest single changes that would have it decided otherwise: found by deciding again, one change at a time."""

from bisect import bisect_left
from dataclasses import dataclass

from m10actors.recovery.decision import RULES, Decision, reconsider
from m10actors.recovery.explaining.changes import Change, Scene
from m10actors.recovery.explaining.ladders import Ladder, ladders
from m10actors.recovery.rules import Ruleset


@dataclass(frozen=True, slots=True)
class Flip:
    """A change, and the decision that it makes."""

    change: Change
    after: Decision

    @property
    def effect(self) -> str:
        """What is otherwise then."""
        if self.after.action is None:
            return "no action is proposed"
        return f"{self.after.action} {'is carried out by itself' if self.after.execute else 'waits for a person'}"

    def __str__(self) -> str:
        return f"{self.change}: {self.effect}"


def flips(decision: Decision, rules: Ruleset | None) -> tuple[Flip, ...]:
    """The smallest change of each thing after which another action is proposed, or what waits would be carried out by
    itself, or the reverse; the smallest first, equals in the order in which they are looked for. `rules`: those of the
    decision, None where they are not known; then changes of counts, outcomes and rules are not looked for.
    """
    assert decision.seen is not None
    scene = Scene(decision.seen, rules if decision.evaluator == RULES else None)
    found = (_first(decision, scene, ladder) for ladder in ladders(decision, scene))
    return tuple(sorted(filter(None, found), key=lambda flip: flip.change.size))


def decided_after(change: Change, decision: Decision, scene: Scene) -> Decision:
    """The decision that `change` makes."""
    after = change.applied(scene)
    return reconsider(decision, after.seen, after.rules)


def _first(decision: Decision, scene: Scene, ladder: Ladder) -> Flip | None:
    """The first step that flips it."""

    def is_flip(step: Change) -> bool:
        after = decided_after(step, decision, scene)
        return (after.action, after.execute) != (decision.action, decision.execute)

    if ladder.is_monotone:
        nth = bisect_left(ladder.steps, True, key=is_flip)
    else:
        nth = next((nth for nth, step in enumerate(ladder.steps) if is_flip(step)), len(ladder.steps))
    return Flip(step := ladder.steps[nth], decided_after(step, decision, scene)) if nth < len(ladder.steps) else None
