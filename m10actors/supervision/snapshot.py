"""A picture of the tree, as values: what `m10 tree` shows."""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a child stands. `waiting`: for its restart. `finished`: ended, and not to be restarted."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting"
    FINISHED = "finished"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child at a moment, with those below it in start order.

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
