"""Replays of dead letters: what was given up becomes due again, as new work."""

from collections.abc import Sequence

from m10actors import metrics
from m10actors.hints import Hints
from m10actors.postgres.pool import Database


def replay_evaluations(database: Database, hints: Hints, dead_letters: Sequence[int]) -> int:
    """Makes the candidates of these rows of the archive due once more, as m10_ops; how many became due.

    Left as they are: events, and candidates that are due or were evaluated since. StoreError: nothing was replayed.
    """
    due = database.rows("replay_evaluations", {"dead_letters": list(dead_letters)})
    metrics.REPLAYED.inc(len(due))
    hints.send(due)
    return len(due)
