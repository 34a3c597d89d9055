"""Which action past cases speak for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from m10actors.recovery.confidence import Cases, basic_rate, confidence
from m10actors.recovery.facts import Facts


class Scope(StrEnum):
    """Which past cases count. ALIKE: those of this very failure (its fingerprint), then those of its error code.
    ACTION: all those of the action, whatever it was taken for.
    """

    ALIKE = "alike"
    FINGERPRINT = "fingerprint"
    CODE = "code"
    ACTION = "action"

    @property
    def cases(self) -> str:
        """What they are called in a sentence."""
        return _CASES[self]


_CASES = {
    Scope.ALIKE: "past cases",
    Scope.FINGERPRINT: "past cases of this very failure",
    Scope.CODE: "past cases of this error code",
    Scope.ACTION: "past cases of all kinds",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """An action that has worked: its cases, how sure that makes (0 .. 1), and in which scope they were found."""

    cases: Cases
    rate: float
    scope: Scope

    def __str__(self) -> str:
        return f"{self.cases.action} succeeded in {self.cases.successes} of {self.cases.matches} {self.scope.cases}"


def proven(facts: Facts, scope: Scope, action: str | None, min_matches: int, min_rate: float) -> Proof | None:
    """The most common action of those with so many cases and so much confidence from them; of equals the better one,
    then the first by name. One that is proven for this very failure goes before every other. `action`: that one only.
    """
    for found_in, cases in _cases(facts, scope):
        if sure := [
            Proof(each, rate, found_in)
            for each in cases
            if each.matches >= min_matches and action in (None, each.action)
            if (rate := confidence(each)) is not None and rate >= min_rate
        ]:
            return min(sure, key=_rank)
    return None


def _rank(proof: Proof) -> tuple[int, float, str]:
    return -proof.cases.matches, -basic_rate(proof.cases), proof.cases.action


def _cases(facts: Facts, scope: Scope) -> Sequence[tuple[Scope, Sequence[Cases]]]:
    match scope:
        case Scope.ALIKE:
            return (Scope.FINGERPRINT, facts.history.fingerprint), (Scope.CODE, facts.history.of_code())
        case Scope.FINGERPRINT:
            return ((Scope.FINGERPRINT, facts.history.fingerprint),)
        case Scope.CODE:
            return ((Scope.CODE, facts.history.code),)
        case Scope.ACTION:
            return ((Scope.ACTION, [each.cases for each in facts.actions.values()]),)
        case _:
            assert_never(scope)
