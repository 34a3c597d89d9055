"""What the loops by hand do in PostgreSQL with a batch of candidate ids: one transaction each."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from bench.evaluators import HANDLED
from bench.hand import Effect, read_all
from bench.stage import Stage
from bench.statements import READ
from bench.words import Decided
from m10actors.postgres.arrays import Bigints, Reals, Texts
from m10actors.postgres.json_text import json_bytes

Decide = Callable[[Sequence[Any]], Decided]
"""From a row of COLUMNS."""
Make = Callable[[psycopg.Connection], Effect]
"""A loop's own way to its effect."""


def loops_by_hand(stage: Stage, count: int, make: Make) -> float:
    """Messages a second, with two batches in flight."""
    with stage.connect() as one, stage.connect() as other:
        return count / read_all(stage, [make(one), make(other)])


def sending(statement: str) -> Make:
    """One statement, which takes the ids."""
    return lambda connection: lambda ids: connection.execute(statement.encode(), [Bigints(ids)])


def deciding(decide: Decide, statement: str) -> Make:
    """Reads, decides each, and writes every row of `statement`, in one transaction."""

    def make(connection: psycopg.Connection) -> Effect:
        def effect(ids: Sequence[int]) -> None:
            with connection.transaction():
                _write(connection, statement, [decide(row) for row in _due(connection, ids)])

        return effect

    return make


def handling(decide: Decide, statement: str) -> Make:
    """Reads, does in pipeline mode what a handler does for each message, and writes, in one transaction."""

    def make(connection: psycopg.Connection) -> Effect:
        def effect(ids: Sequence[int]) -> None:
            with connection.transaction():
                due = _due(connection, ids)
                with connection.pipeline():
                    for row in due:
                        connection.execute(HANDLED, (row[0], row[3]))
                _write(connection, statement, [decide(row) for row in due])

        return effect

    return make


def _due(connection: psycopg.Connection, ids: Sequence[int]) -> list[Any]:
    with connection.cursor(binary=True) as cursor:
        return [row for row in cursor.execute(READ.encode(), [Bigints(ids)]) if row[1] > row[2]]


def _write(connection: psycopg.Connection, statement: str, decided: Sequence[Decided]) -> None:
    if decided:
        ids, actions, sures, suggestions, *values = zip(*decided, strict=True)
        texts = [Texts([None if value is None else json_bytes(value) for value in each]) for each in values]
        arrays = [Bigints(ids), Texts(actions), Reals(sures), Texts(suggestions), *texts]
        connection.execute(statement.encode(), arrays)
