"""A picture of the tree, as values: what `m10 tree` shows."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a child stands.

    `waiting`: for its restart. `parked`: until what it needs is up again. `finished`: ended, and not to be restarted.
    """

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting"
    PARKED = "parked"
    FINISHED = "finished"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True)
class Budget:
    """How a supervisor restarts, and how much of its restart intensity is spent: `spent` of `intensity` restarts in the
    last `period` seconds.
    """

    strategy: str
    spent: int
    intensity: int
    period: float


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child at a moment, with those below it in start order.

    `restarts` counts those under the present incarnation of its supervisor; the end of an outage is none. `parked_on`:
    the names that hold it up. `taken_out`: how often it was stuck and had to be replaced. `leaked`: how many threads of
    its former incarnations still run. `budget`: of a supervisor that runs.
    Ages are seconds: `age` since its present incarnation was started, `progress_age` since it last finished a message
    or said what it is doing. `mailbox` is the number of messages that wait. All are None while no incarnation runs.
    """

    id: str
    type: str
    phase: Phase
    restarts: int
    last_exit: str | None
    age: float | None
    progress_age: float | None
    mailbox: int | None
    doing: str
    children: tuple["ChildState", ...] = ()
    parked_on: tuple[str, ...] = ()
    taken_out: int = 0
    leaked: int = 0
    budget: Budget | None = None
