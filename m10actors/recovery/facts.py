"""What a decision goes by: the candidate, what came of past cases, and the actions that there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct, structs

from m10actors.recovery.actions import Action
from m10actors.recovery.confidence import MIN_CASES, Cases

MESSAGE_EDGE = 8192
"""Characters at the beginning, and at the end, of a long message that a decision reads."""


class Candidate(Struct, frozen=True):
    """One generation of a folded failure, as it is evaluated.

    `at`: the moment of the reading, by the database's clock; everything else is as of then.
    `since_executed`: how long ago an action was last carried out for it without a person.
    `age`: how long ago it was first seen, None if that is not known.
    `rates`: how often it was seen within each window that the rules ask for, ascending.
    """

    id: int
    generation: int
    error_code: str
    error_message: str
    source: str
    fingerprint: str
    occurrence_count: int
    at: datetime
    since_executed: timedelta | None = None
    age: timedelta | None = None
    rates: tuple[tuple[timedelta, float], ...] = ()

    def seen_within(self, window: timedelta) -> float:
        """How often it was seen within `window`; 0 where nothing was counted for such a window."""
        return next((seen for length, seen in self.rates if length == window), 0.0)

    def seen_again(self, times: int) -> "Candidate":
        """The candidate with so many more occurrences, just now; or with fewer."""
        rates = tuple((window, max(0.0, seen + times)) for window, seen in self.rates)
        return structs.replace(self, occurrence_count=self.occurrence_count + times, rates=rates)


@dataclass(frozen=True, slots=True)
class History:
    """What came of the actions taken for failures with this error code, and for those with this fingerprint."""

    code: tuple[Cases, ...] = ()
    fingerprint: tuple[Cases, ...] = ()

    def of_code(self) -> tuple[Cases, ...]:
        """Those of the error code, without actions that this very failure has a record of its own of."""
        if not self.fingerprint:
            return self.code
        settled = {cases.action for cases in self.fingerprint if cases.matches >= MIN_CASES}
        return tuple(cases for cases in self.code if cases.action not in settled)


NO_HISTORY = History()


class Facts(Struct, frozen=True):
    """Everything that the condition of a rule may look at."""

    candidate: Candidate
    history: History
    actions: Mapping[str, Action]

    @property
    def code(self) -> str:
        """The error code in upper case."""
        return self.candidate.error_code.upper()


def message_seen(message: str) -> str:
    """`message` as evaluation_inputs gives it: of a long one its beginning and its end."""
    if len(message) <= 2 * MESSAGE_EDGE:
        return message
    return f"{message[:MESSAGE_EDGE]}\n{message[-MESSAGE_EDGE:]}"
