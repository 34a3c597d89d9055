"""What an evaluator is given and what it answers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from msgspec import Struct, field

from m10actors.recovery.facts import Facts

NO_DETAILS: Final[Mapping[str, object]] = MappingProxyType({})


class Proposal(Struct, frozen=True):
    """An action for one candidate. It is no decision yet: the gates of the configuration (least confidence, approval,
    caps, cooldown …) apply to it as to what the rules propose.

    `candidate_id`: of which of the facts. `action`: the code of an action. `confidence`: 0 .. 1. `because`: why, for a
    person, in at most 1,000 characters. `details`: whatever shall stand in the record, a JSON object of at most 16 kB.
    """

    candidate_id: int
    action: str
    confidence: float
    because: str = ""
    details: Mapping[str, object] = field(default_factory=lambda: NO_DETAILS)


class Later(Struct, frozen=True):
    """No answer yet: ask again after `delay`. Only a leased evaluator may say so; it spends no attempt."""

    candidate_id: int
    delay: timedelta


Answer: TypeAlias = Proposal | Later


class Evaluator(Protocol):
    """Made from the table `evaluators.NAME.options` of the configuration, as `Class(**options)` or, where it has one,
    `Class.from_options(options)`.
    """

    def evaluate(self, batch: Sequence[Facts], /) -> Iterable[Answer]:
        """An answer for each of `batch` that it has a proposal for; of the others it abstains. No candidate is in a
        batch twice.

        It may be called from several threads at once, and more than once for the same candidate and generation: what
        it does must bear that. Whatever it raises is a failed attempt at every candidate of the batch that fails also
        when asked alone.
        """
