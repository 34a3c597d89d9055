"""Processes of this run folder that died: what they held is taken over at once, not when its lease runs out."""

from collections.abc import Sequence
from pathlib import Path

from m10actors import logs
from m10actors.instance import forget, known
from m10actors.postgres import evaluations
from m10actors.postgres.pool import Database

log = logs.logger(__name__)


class Predecessors:
    """Those whose instance file can be locked are dead. Their files go last, so that a crash in between repeats the
    rest.
    """

    def __init__(self, run_dir: Path, database: Database) -> None:
        self._run_dir = run_dir
        self._database = database
        self._dead: tuple[str, ...] = ()

    def take_over(self) -> Sequence[str]:
        """Frees their locks and claims in PostgreSQL; the names under which the stream knows them. StoreUnavailable:
        ask again.
        """
        self._dead = tuple(instance.worker for instance in known(self._run_dir) if not instance.alive)
        if self._dead:
            locks, events, works, evaluating = evaluations.take_over(self._database, self._dead)
            log.info(
                "predecessors_taken_over",
                dead=len(self._dead),
                locks=locks,
                events=events,
                works=works,
                evaluations=evaluating,
            )
        return self._dead

    def forget(self) -> None:
        """Their stream entries are taken over too: nothing is left of them."""
        forget(self._run_dir, self._dead)
