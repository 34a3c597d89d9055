"""What is promised of the data, and what breaks it. As m10_ops; `m10 audit --check` asks, and the campaigns do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from m10actors.postgres.snapshot import OutOfTime, snapshot

GRACE: Final = timedelta(minutes=5)
"""How long the jobs may take that set right what is meant to be set right by them."""
TIMEOUT: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Invariant:
    """What holds at any moment, in any snapshot. Its query (`integrity_NAME`) gives what breaks it, by `ids`."""

    name: str
    promise: str
    ids: str


INVARIANTS: Final = (
    Invariant("evaluated_beyond", "no candidate is evaluated beyond its generation", "candidate"),
    Invariant("evaluated_twice", "an evaluation takes effect once for each generation", "candidate:generation"),
    Invariant("evaluated_without_provenance", "an evaluation leaves its provenance", "candidate:generation"),
    Invariant("executing_without_execution", "what is executing has an open execution", "candidate"),
    Invariant("execution_of_another_round", "an open execution is that of an executing round", "execution"),
    Invariant("execution_without_event", "an open execution has its event", "execution"),
    Invariant("event_without_execution", "the event of an action has its execution", "event"),
    Invariant("two_open_executions", "a candidate has one open execution at most", "candidate"),
    Invariant("link_twice", "each link of a round is carried out once", "candidate:round:link"),
    Invariant("end_without_moment", "a round has ended exactly if its end has a moment", "candidate"),
    Invariant("outcome_not_counted", "an execution that ended is counted as what it came to", "execution"),
    Invariant("action_counts_too_little", "an action counts all of its executions", "action"),
    Invariant("death_without_dead_letter", "what was given up has its dead letter", "event, or candidate:generation"),
    Invariant("waits_for_nothing", "an event waits only behind an open one", "event"),
    Invariant("delivered_and_dead", "an event is delivered or dead, never both", "event"),
    Invariant("epoch_not_given", "an event is claimed in an epoch that was given", "event"),
    Invariant("cap_passed", "no hour passes a cap of what is carried out without a person", "cap:name"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What breaks an invariant: none, or the first of them; `more`: there are others. `unknown` says why it could not
    be looked at.
    """

    invariant: Invariant
    broken_by: tuple[str, ...]
    more: bool = False
    unknown: str | None = None

    @property
    def holds(self) -> bool | None:
        return None if self.unknown else not self.broken_by


def check(
    url: str,
    *,
    silent: Sequence[str] = (),
    most: int = 100,
    grace: timedelta = GRACE,
    timeout: timedelta = TIMEOUT,
) -> Iterator[Found]:
    """Each invariant in turn, all as of one moment; StoreError if the database cannot be asked.

    `silent`: evaluators that are configured to leave no provenance; `most`: how many of what breaks one are told.
    """
    parameters = {"silent": list(silent), "grace": grace, "limit": most + 1}
    with snapshot(url, timeout) as ask:
        for invariant in INVARIANTS:
            try:
                ids = [row[0] for row in ask(f"integrity_{invariant.name}", parameters)]
                yield Found(invariant, tuple(ids[:most]), more=len(ids) > most)
            except OutOfTime as error:
                yield Found(invariant, (), unknown=str(error))
