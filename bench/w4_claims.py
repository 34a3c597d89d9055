"""W4: claiming and completing 500 rows at a time, whatever waits behind them, and whoever holds a transaction open.

A backlog is vacuumed and on disk before it counts: the large one would be measured else while autovacuum and a
checkpoint still work off how it was filled.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from bench.stage import Stage
from m10actors.postgres import evaluations, outbox
from m10actors.postgres.locks import acquire, release
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion

ROWS = 500
ROUNDS, FEWEST_ROUNDS = 16, 3
SMALL, MIDDLE, LARGE = 10_000, 100_000, 1_000_000
LEASE = timedelta(minutes=5)

FILL_OUTBOX = """
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination)
SELECT 'bench', n::text, 'webhook:bench', '{"data": {}}', 'receiver' FROM generate_series(1, %s::int) n
"""
FILL_DUE = """
INSERT INTO public.recovery_candidates
    (failure_match_id, suggestion, error_code, error_message, error_signature, source, fingerprint, due_at)
SELECT gen_random_uuid(), '', 'TIMEOUT', 'no answer', 'bench', 'bench', 'bench', now() - interval '1 hour'
FROM generate_series(1, %s::int)
"""
FILL_HAND = """
DROP TABLE IF EXISTS public.by_hand;
CREATE TABLE public.by_hand (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload jsonb NOT NULL DEFAULT '{}',
                             claimed_at timestamptz, done_at timestamptz);
CREATE INDEX ON public.by_hand (id) WHERE claimed_at IS NULL AND done_at IS NULL;
INSERT INTO public.by_hand (payload) SELECT '{"data": {}}' FROM generate_series(1, %s::int);
"""
CLAIM_BY_HAND = """
UPDATE public.by_hand h SET claimed_at = now()
FROM (SELECT id FROM public.by_hand WHERE claimed_at IS NULL AND done_at IS NULL ORDER BY id LIMIT %s
      FOR UPDATE SKIP LOCKED) c
WHERE h.id = c.id RETURNING h.id, h.payload
"""
COMPLETE_BY_HAND = "UPDATE public.by_hand SET done_at = now() WHERE id = ANY (%s)"
EVALUATED = """
WITH done AS (DELETE FROM m10_recovery.evaluation_claim WHERE candidate_id = ANY (%s) RETURNING candidate_id)
UPDATE public.recovery_candidates c SET evaluated_generation = generation FROM done WHERE c.id = done.candidate_id
"""
Fill = Callable[[int], None]
Round = Callable[[], float]
"""Claims and ends ROWS rows; the seconds that count."""


class Claims:
    """Each backlog is compared with the small one; by hand: a queue of three columns, claimed with SKIP LOCKED."""

    figures = (
        ("W4 outbox, 10 k wait", "rows/s"),
        ("W4 outbox, 100 k beside 10 k", "rows/s"),
        ("W4 outbox, 1 M beside 10 k", "rows/s"),
        ("W4 outbox, beside a long transaction", "rows/s"),
        ("W4 sweep, 10 k due", "rows/s"),
        ("W4 sweep, 100 k beside 10 k", "rows/s"),
        ("W4 sweep, 1 M beside 10 k", "rows/s"),
        ("W4 sweep, beside a long transaction", "rows/s"),
    )

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._rounds = max(FEWEST_ROUNDS, int(ROUNDS * scale))
        self._first_rounds = max(1, self._rounds // 2)
        """Not counted: plans are made, and the upper pages of indexes read."""
        self._sizes = [max(2 * ROWS * self._rounds, int(size * scale)) for size in (SMALL, MIDDLE, LARGE)]
        self._limits: list[float] = []

    def ours(self) -> Sequence[float]:
        with self._leading() as outbox_round:
            events = self._at_every_size(lambda count: self._fill(FILL_OUTBOX, count), outbox_round)
        self._stage.forget()
        due = self._at_every_size(lambda count: self._fill(FILL_DUE, count), self._sweep)
        self._stage.forget()
        self._limits = [*_beside(events), *_beside(due)]
        return [*events, *due]

    def by_hand(self) -> Sequence[float]:
        self._fill(FILL_HAND, self._sizes[0])
        with self._stage.connect() as connection:

            def both() -> float:
                began = time.monotonic()
                ids = [row[0] for row in connection.execute(CLAIM_BY_HAND, [ROWS])]
                connection.execute(COMPLETE_BY_HAND, [ids])
                return time.monotonic() - began

            def claim() -> float:
                began = time.monotonic()
                ids = [row[0] for row in connection.execute(CLAIM_BY_HAND, [ROWS])]
                seconds = time.monotonic() - began
                connection.execute(COMPLETE_BY_HAND, [ids])
                return seconds

            completed = self._rate(both)
            self._fill(FILL_HAND, self._sizes[0])
            claimed = self._rate(claim)
        self._stage.sql("DROP TABLE public.by_hand")
        return [completed, *self._limits[1:4], claimed, *self._limits[5:]]

    def _at_every_size(self, fill: Fill, turn: Round) -> list[float]:
        """The rate at each backlog, and at the largest with somebody's transaction open."""
        rates, there = [], 0
        for size in self._sizes:
            fill(size - there)
            there = size - ROWS * (self._first_rounds + self._rounds)
            rates.append(self._rate(turn))
        with self._stage.connect() as sleeper, sleeper.transaction():
            sleeper.execute("SELECT pg_current_xact_id()")
            rates.append(self._rate(turn))
        return rates

    @contextmanager
    def _leading(self) -> Iterator[Round]:
        database = self._stage.parts.app
        epoch = acquire(database, OUTBOX_LOCK, "bench", timedelta(hours=1))
        assert epoch is not None, "nobody else holds the lock here"

        def turn() -> float:
            began = time.monotonic()
            claimed = outbox.claim(database, "bench", epoch, ROWS)
            outbox.complete(database, "bench", epoch, [Completion(each.id, "delivered") for each in claimed])
            assert len(claimed) == ROWS, f"{len(claimed)} were claimed"
            return time.monotonic() - began

        yield turn
        release(database, OUTBOX_LOCK, "bench", epoch)

    def _sweep(self) -> float:
        began = time.monotonic()
        taken = evaluations.claim_overdue(self._stage.parts.app, "bench", ROWS, timedelta(seconds=1), LEASE)
        seconds = time.monotonic() - began
        assert len(taken) == ROWS, f"{len(taken)} were claimed"
        self._stage.sql(EVALUATED, [each.candidate_id for each in taken])
        return seconds

    def _rate(self, turn: Round) -> float:
        for _ in range(self._first_rounds):
            turn()
        return ROWS * self._rounds / sum(turn() for _ in range(self._rounds))

    def _fill(self, statement: str, count: int) -> None:
        for part in statement.split(";\n"):
            if part.strip():
                self._stage.sql(part, *([count] if "%s" in part else []))
        self._stage.sql("VACUUM (ANALYZE)")
        self._stage.sql("CHECKPOINT")


def _beside(rates: Sequence[float]) -> list[float]:
    """What each rate is compared with: the small backlog, and a long transaction with the same backlog without it."""
    small, _, large, _ = rates
    return [small, small, small, large]
