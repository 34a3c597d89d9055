"""Evaluators in their order: the first that is sure enough decides, the next are asked for what is undecided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from msgspec import Struct

from m10actors.evaluators.protocol import Evaluator, Proposal
from m10actors.recovery.decision import RULES, Decision
from m10actors.recovery.facts import Facts


@dataclass(frozen=True, slots=True)
class Step:
    """An evaluator (None: the rules) and how it is asked, `batch_size` candidates in a call.

    `leased`: by workers of its own, `concurrency` of them at most, for `timeout` at most. What fails there is asked
    again `retries` times, after `backoff` that doubles each time; what it puts off is asked for until `max_wait` has
    passed. `abstains`: what has failed for good is left to the next one, and is no dead letter. `provenance`: whether
    what it decides leaves rows that say so.
    """

    name: str
    evaluator: Evaluator | None
    batch_size: int = 50
    leased: bool = False
    timeout: timedelta = timedelta(seconds=30)
    concurrency: int | None = None
    retries: int = 5
    backoff: timedelta = timedelta(seconds=10)
    max_wait: timedelta = timedelta(days=7)
    abstains: bool = False
    provenance: bool = True


class Decided(Struct, frozen=True):
    """By whoever was sure enough, else by nobody; `milliseconds` it took."""

    decision: Decision
    milliseconds: int


class Waits(Struct, frozen=True):
    """It is the turn of a leased evaluator."""

    evaluator: str


class PutOff(Struct, frozen=True):
    """By the leased evaluator that was asked."""

    delay: timedelta


class Failed(Struct, frozen=True):
    """An attempt; the reason as a dead letter says it."""

    reason: str


Outcome: TypeAlias = Decided | Waits | PutOff | Failed


@dataclass(frozen=True, slots=True)
class Judge:
    """How facts become a decision: by the rules; by the proposal of the evaluator with that name; without one."""

    by_rules: Callable[[Facts], Decision]
    by_proposal: Callable[[Facts, str, Proposal], Decision]
    by_nobody: Callable[[Facts], Decision]


@dataclass(frozen=True, slots=True)
class Chain:
    """`steps` in the order in which they are asked."""

    steps: tuple[Step, ...] = (Step(RULES, None),)

    @property
    def leased(self) -> tuple[Step, ...]:
        """Those that are asked by workers of their own."""
        return tuple(step for step in self.steps if step.leased)

    def until(self, name: str) -> tuple[Step, ...]:
        """Those before the one with this name."""
        return self.steps[: self._place(name)]

    def since(self, name: str) -> tuple[Step, ...]:
        """The one with this name and those after it."""
        return self.steps[self._place(name) :]

    def _place(self, name: str) -> int:
        return [step.name for step in self.steps].index(name)


BY_RULES: Final = Chain()
"""The rules alone."""


@dataclass(frozen=True, slots=True)
class Task:
    """A batch for the worker of a leased evaluator: asks it and those after it (with `passed`, those after it)."""

    chain: Chain
    evaluator: str
    batch: Sequence[Facts]
    judge: Judge
    passed: bool = False
