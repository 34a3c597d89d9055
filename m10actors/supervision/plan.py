"""What a supervisor does when a child has ended: decided here, from values (OTP's `supervisor:restart/3`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import assert_never

from m10actors.supervision.exits import ExitReason, is_abnormal
from m10actors.supervision.spec import Restart, Strategy


@dataclass(frozen=True, slots=True)
class Standing:
    """One child as the plan sees it."""

    id: str
    restart: Restart
    running: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Child ids in the order in which to stop them, and then in the order in which to start them."""

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()


def plan_restart(children: Sequence[Standing], exited: str, reason: ExitReason, strategy: Strategy) -> Plan:
    """The plan for `children` (in start order) after `exited` ended; an empty one leaves all as it is.

    As in OTP, a temporary child that is stopped with its group stays ended, and a transient one that had ended is
    started anew with it.
    """
    by_id = {child.id: child for child in children}
    if not should_restart(by_id[exited].restart, reason):
        return Plan()
    group = _group(children, exited, strategy)
    return Plan(
        stop=tuple(child.id for child in reversed(group) if child.running and child.id != exited),
        start=tuple(child.id for child in group if child.restart is not Restart.TEMPORARY),
    )


def should_restart(restart: Restart, reason: ExitReason) -> bool:
    """Whether a child of this kind is restarted after this exit."""
    match restart:
        case Restart.PERMANENT:
            return True
        case Restart.TRANSIENT:
            return is_abnormal(reason)
        case Restart.TEMPORARY:
            return False
        case _:
            assert_never(restart)


def due_starts(
    waiting: Sequence[tuple[str, float]], now: float, strategy: Strategy
) -> tuple[tuple[str, ...], float | None]:
    """Which of the `waiting` (id, time to start at; in start order) to start now, and when to look again.

    Where siblings depend on one another, one that waits holds back those after it.
    """
    if strategy is Strategy.ONE_FOR_ONE:
        due = [name for name, at in waiting if at <= now]
        later = [at for _, at in waiting if at > now]
        return tuple(due), min(later, default=None)
    due = [name for name, _ in takewhile(lambda entry: entry[1] <= now, waiting)]
    return tuple(due), waiting[len(due)][1] if len(due) < len(waiting) else None


def _group(children: Sequence[Standing], exited: str, strategy: Strategy) -> Sequence[Standing]:
    position = next(i for i, child in enumerate(children) if child.id == exited)
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return children[position : position + 1]
        case Strategy.REST_FOR_ONE:
            return children[position:]
        case Strategy.ONE_FOR_ALL:
            return children
        case _:
            assert_never(strategy)
