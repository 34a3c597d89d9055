"""What actors tell one another, and the child ids under which they are told. Actors import this and never each
other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from m10actors.actors.turn import Turn
from m10actors.delivery import Event, Held, Outcome
from m10actors.evaluators import chain
from m10actors.recovery.lease import Tenure
from m10actors.streams import BadEntry, Entry

STREAM_READER: Final = "stream_reader"
RECLAIMER: Final = "reclaimer"
DEAD_LETTER_ROUTER: Final = "dead_letter_router"
OUTBOX_LEADER: Final = "outbox_leader"
JOB_RUNNER: Final = "job_runner"
SCHEDULER: Final = "scheduler"
LEASE_KEEPER: Final = "lease_keeper"
PAUSE_MONITOR: Final = "pause_monitor"
EVALUATOR_DISPATCHER: Final = "evaluator_dispatcher"


@dataclass(frozen=True, slots=True)
class Tick:
    """Do one bounded piece of your periodic work. `what` tells several periods of one actor apart."""

    what: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """A claim worker wants up to `want` entries (0: none any more). It replaces the demand before.

    `dealt_with`: the ids of what was handed to it since then and is not in its hands any more. `fresh`: it has just
    started, and what its predecessor had in hand is unknown to it.
    """

    worker: str
    want: int
    dealt_with: frozenset[bytes] = frozenset()
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """Stream entries for a claim worker. `retaken`: somebody may have begun them before, so that each one counts an
    attempt.
    """

    entries: tuple[Entry, ...]
    retaken: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """An evaluation or an entry to be dead-lettered. `entry`: the stream entry that carried it, if one did;
    `claimed_by`: the name under which its last attempt was begun.
    """

    reason: str
    candidate_id: int | None = None
    generation: int | None = None
    entry: Entry | BadEntry | None = None
    attempts: int = 0
    claimed_by: str = ""


@dataclass(frozen=True, slots=True)
class Wake:
    """To the outbox leader: an event was just published here. To the evaluator dispatcher: something waits."""


@dataclass(frozen=True, slots=True)
class Keep:
    """To the lease keeper: renew this until it is over. Told again while it lasts, so that a keeper that crashed
    knows.
    """

    tenure: Tenure


@dataclass(frozen=True, slots=True)
class Over:
    """From the lease keeper to the child that asked: this could not be renewed, and must not be trusted any more."""

    tenure: Tenure


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery or evaluator worker has nothing in hand. What it is told under another `incarnation` was meant for its
    predecessor.
    """

    worker: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """To a delivery worker: there are events in this turn."""

    turn: Turn
    incarnation: int


@dataclass(frozen=True, slots=True)
class Attempted:
    """From a delivery worker: what became of an event, and how many seconds that took."""

    event: Event
    epoch: int
    outcome: Outcome | Held
    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """To an evaluator worker: do this; `number` tells its answer from others."""

    number: int
    task: chain.Task
    incarnation: int


@dataclass(frozen=True, slots=True)
class Answered:
    """From an evaluator worker: what became of each candidate of the task with this number."""

    worker: str
    number: int
    outcomes: Mapping[int, chain.Outcome]


@dataclass(frozen=True, slots=True)
class RunJob:
    """To the job runner: run this job now, if nobody else does. `asked_at`: seconds on the monotonic clock; `asked_by`:
    the person who did, if it was one.
    """

    name: str
    asked_at: float
    asked_by: str | None = None


@dataclass(frozen=True, slots=True)
class AskPlan:
    """To the scheduler, as a question: in how many seconds each job is due, by its name."""
