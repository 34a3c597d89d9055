"""What a supervisor does when a child has ended (OTP's `supervisor:restart/3`) and when the weather changes: decided
here, from values.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import assert_never

from m10actors.supervision.exits import ExitReason, Shutdown, is_abnormal
from m10actors.supervision.spec import AutoShutdown, Restart, Strategy


@dataclass(frozen=True, slots=True)
class Standing:
    """One child as the plan sees it. `finished`: it ended and is not to be restarted."""

    id: str
    restart: Restart
    running: bool
    finished: bool = False
    significant: bool = False
    needs: frozenset[str] = frozenset()
    parked_on: frozenset[str] = frozenset()


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


def shuts_down(children: Sequence[Standing], finished: str, auto_shutdown: AutoShutdown) -> bool:
    """Whether the supervisor ends because `finished` ended by itself (OTP's `do_auto_shutdown/2`).

    One that waits for its restart or is parked is still at work.
    """
    significant = [child for child in children if child.significant]
    if finished not in [child.id for child in significant]:
        return False
    match auto_shutdown:
        case AutoShutdown.NEVER:
            return False
        case AutoShutdown.ANY_SIGNIFICANT:
            return True
        case AutoShutdown.ALL_SIGNIFICANT:
            return all(child.finished or child.id == finished for child in significant)
        case _:
            assert_never(auto_shutdown)


@dataclass(frozen=True, slots=True)
class Parking:
    """Children to park in the order in which to stop them, each with what holds it up; and those to let begin again, in
    the order of their start.
    """

    park: tuple[tuple[str, frozenset[str]], ...] = ()
    resume: tuple[str, ...] = ()


def plan_parking(children: Sequence[Standing], down: frozenset[str], strategy: Strategy) -> Parking:
    """What the weather asks for: who has to stand still that does not yet (or on something else), and who no longer."""
    held = held_up(children, down, strategy)
    return Parking(
        park=tuple((c.id, held[c.id]) for c in reversed(children) if c.id in held and held[c.id] != c.parked_on),
        resume=tuple(child.id for child in children if child.parked_on and child.id not in held),
    )


def held_up(children: Sequence[Standing], down: frozenset[str], strategy: Strategy) -> dict[str, frozenset[str]]:
    """Who cannot work, and which of the names that are `down` hold it up.

    A child is held up by its own needs, and by those of the siblings that it depends on, which the strategy names: none
    under one_for_one, those started before it under rest_for_one, all under one_for_all. One that has finished needs
    nothing.
    """
    at_work = [child for child in children if not child.finished]
    lacks = [child.needs & down for child in at_work]
    match strategy:
        case Strategy.ONE_FOR_ONE:
            holding = lacks
        case Strategy.REST_FOR_ONE:
            holding = list(accumulate(lacks, operator.or_))
        case Strategy.ONE_FOR_ALL:
            holding = [frozenset().union(*lacks)] * len(lacks)
        case _:
            assert_never(strategy)
    return {child.id: names for child, names in zip(at_work, holding, strict=True) if names}


def stays_parked(restart: Restart, reason: ExitReason) -> bool:
    """Whether a child that was stopped to be parked is to begin again; not one that ended by itself in that moment."""
    return isinstance(reason, Shutdown) or should_restart(restart, reason)


def resume_delay(position: int, of: int, within: float, chance: float) -> float:
    """Seconds until child number `position` (from 0) of `of` begins again: spread over `within`, in order, each
    somewhere in its own part of it, by `chance` in 0..1.
    """
    return within * (position + chance) / of


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
