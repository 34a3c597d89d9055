"""Single changes of what a decision is made from: a closed set. Each says itself in words, and how small it is.

`size` compares changes of different kinds; docs/explaining.md has the table.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from msgspec import structs

from m10actors.recovery.confidence import Cases
from m10actors.recovery.decision import Seen
from m10actors.recovery.facts import Facts, History
from m10actors.recovery.phrases import counted, span
from m10actors.recovery.quiet_hours import QuietHours
from m10actors.recovery.rules import Ruleset

SWITCH: Final = 4.0
"""The size of a change that only is or is not."""
_PER_UNIT: Final = 20.0

Value: TypeAlias = bool | float | timedelta | QuietHours


@dataclass(frozen=True, slots=True)
class Scene:
    """What a decision is made from. `rules` None: they are not known, what was proposed stands."""

    seen: Seen
    rules: Ruleset | None

    def with_facts(self, facts: Facts) -> "Scene":
        return replace(self, seen=structs.replace(self.seen, facts=facts))


@dataclass(frozen=True, slots=True)
class Later:
    """Time passes, and nothing else happens; rates stay as they are."""

    by: timedelta

    @property
    def size(self) -> float:
        return 1.0

    def applied(self, scene: Scene) -> Scene:
        facts = scene.seen.facts
        candidate = facts.candidate
        later = structs.replace(
            candidate,
            at=candidate.at + self.by,
            since_executed=None if candidate.since_executed is None else candidate.since_executed + self.by,
            age=None if candidate.age is None else candidate.age + self.by,
        )
        return scene.with_facts(structs.replace(facts, candidate=later))

    def __str__(self) -> str:
        return f"{span(self.by)} later"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """It was seen so many `times` more often, just now; below 0 less often. `before`: how often it was."""

    times: int
    before: int

    @property
    def size(self) -> float:
        return float(abs(self.times))

    def applied(self, scene: Scene) -> Scene:
        facts = scene.seen.facts
        return scene.with_facts(structs.replace(facts, candidate=facts.candidate.seen_again(self.times)))

    def __str__(self) -> str:
        if self.times > 0:
            return f"{counted(self.times, 'more occurrence')}, {self.before + self.times} in all"
        return f"seen {counted(self.before + self.times, 'time')} instead of {self.before}"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """So many more outcomes of an action for this very failure, all of them the same."""

    action: str
    helped: bool
    count: int

    @property
    def size(self) -> float:
        return float(self.count)

    def applied(self, scene: Scene) -> Scene:
        facts = scene.seen.facts
        history = History(code=self._among(facts.history.code), fingerprint=self._among(facts.history.fingerprint))
        actions = dict(facts.actions)
        if (action := actions.get(self.action)) is not None:
            successes = action.successes + (self.count if self.helped else 0)
            actions[self.action] = replace(action, applications=action.applications + self.count, successes=successes)
        return scene.with_facts(Facts(facts.candidate, history, actions))

    def _among(self, known: tuple[Cases, ...]) -> tuple[Cases, ...]:
        own = next((each for each in known if each.action == self.action), Cases(self.action, 0, 0, 0.0, 0.0))
        others = tuple(each for each in known if each.action != self.action)
        return (*others, own.and_more(self.helped, self.count))

    def __str__(self) -> str:
        more = counted(self.count, "more case")
        return f"{more} in which {self.action} {'helped' if self.helped else 'did not help'} with this very failure"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of the configuration. `name`: the field of the policy; `key`: what it is called in the configuration."""

    name: str
    key: str
    value: Value
    before: Value

    @property
    def size(self) -> float:
        return _distance(self.value, self.before)

    def applied(self, scene: Scene) -> Scene:
        policy = replace(scene.seen.policy, **{self.name: self.value})  # type: ignore[arg-type]
        return replace(scene, seen=structs.replace(scene.seen, policy=policy))

    def __str__(self) -> str:
        return f"{self.key} {_written(self.value)} instead of {_written(self.before)}"


@dataclass(frozen=True, slots=True)
class Destination:
    """The configuration says, or does not say, what carries an action out."""

    action: str
    given: bool

    @property
    def size(self) -> float:
        return SWITCH

    def applied(self, scene: Scene) -> Scene:
        policy, own = scene.seen.policy, frozenset({self.action})
        known = policy.destinations_for | own if self.given else policy.destinations_for - own
        return replace(scene, seen=structs.replace(scene.seen, policy=replace(policy, destinations_for=known)))

    def __str__(self) -> str:
        return f"{'a' if self.given else 'no'} destination for {self.action}"


@dataclass(frozen=True, slots=True)
class ActionFlag:
    """What is said of an action in suggestion_action."""

    action: str
    flag: Literal["requires_approval", "is_automated", "is_active"]
    value: bool

    @property
    def size(self) -> float:
        return SWITCH

    def applied(self, scene: Scene) -> Scene:
        facts = scene.seen.facts
        changed = replace(facts.actions[self.action], **{self.flag: self.value})  # type: ignore[arg-type]
        return scene.with_facts(structs.replace(facts, actions={**facts.actions, self.action: changed}))

    def __str__(self) -> str:
        return f"{self.flag} {_written(self.value)} for {self.action}"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule with another score, another adjustment, or switched off."""

    rule: str
    part: Literal["score", "adjustment", "is_active"]
    value: float
    before: float

    @property
    def size(self) -> float:
        return SWITCH if self.part == "is_active" else _distance(self.value, self.before)

    def applied(self, scene: Scene) -> Scene:
        assert scene.rules is not None
        value = bool(self.value) if self.part == "is_active" else self.value
        changed = (
            replace(rule, **{self.part: value}) if rule.name == self.rule else rule  # type: ignore[arg-type]
            for rule in scene.rules.rules
        )
        return replace(scene, rules=Ruleset(tuple(changed)))

    def __str__(self) -> str:
        match self.part:
            case "is_active":
                return f"rule {self.rule} switched off"
            case "adjustment":
                return f"rule {self.rule} without its adjustment of {self.before:+g}"
            case "score":
                return f"rule {self.rule} with a score of {self.value:g} instead of {self.before:g}"


Change: TypeAlias = Later | Recurrence | Outcomes | Setting | RuleChange | ActionFlag | Destination


def _distance(value: Value, before: Value) -> float:
    if isinstance(value, float) and isinstance(before, float):
        return round(_PER_UNIT * abs(value - before), 6)
    return SWITCH


def _written(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case timedelta():
            return span(value)
        case QuietHours():
            return ", ".join(each.text for each in value.spans) or "none"
        case number:
            return f"{number:g}"
