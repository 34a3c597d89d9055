"""Evaluations that wait for a leased evaluator: recorded here, so that nothing else has to remember them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from m10actors.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class Waiting:
    """A generation taken for its evaluator, until the lease ends. `attempts` counts this one; `waited`: since it was
    the turn of that evaluator; `suspect`: the last attempt never came back, so that it may have killed its process.
    """

    candidate_id: int
    generation: int
    attempts: int
    waited: timedelta
    suspect: bool = False

    @property
    def key(self) -> tuple[int, int]:
        return self.candidate_id, self.generation


@dataclass(frozen=True, slots=True)
class Again:
    """A generation that its evaluator is to be asked about again, after `delay`. `counted`: as a failed attempt."""

    candidate_id: int
    generation: int
    delay: timedelta
    counted: bool = True


def wait_for(database: Database, worker: str, works: Sequence[tuple[int, int, str]]) -> None:
    """Has each (candidate, generation, evaluator) that is still due wait. What another has in hand, or has wait
    already, stays as it is.
    """
    database.rows(
        "wait_for_evaluators",
        {
            "worker": worker,
            "ids": [candidate_id for candidate_id, _, _ in works],
            "generations": [generation for _, generation, _ in works],
            "evaluators": [evaluator for _, _, evaluator in works],
        },
    )


def claim(
    database: Database, worker: str, evaluator: str, limit: int, lease: timedelta, *, suspects: bool = True
) -> list[Waiting]:
    """What waits for `evaluator`: many that nobody has begun, or one that somebody has. `suspects`: also such."""
    rows = database.rows(
        "claim_waiting",
        {"worker": worker, "evaluator": evaluator, "limit": limit, "suspects": suspects, "lease": lease},
    )
    return [Waiting(*row) for row in rows]


def ask_again(database: Database, worker: str, again: Sequence[Again]) -> None:
    """Puts back what is still this worker's."""
    database.rows(
        "ask_again",
        {
            "worker": worker,
            "ids": [each.candidate_id for each in again],
            "generations": [each.generation for each in again],
            "delays": [each.delay for each in again],
            "counted": [each.counted for each in again],
        },
    )
