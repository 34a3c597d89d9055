"""What the pipeline reads of its tables: as much as it takes, whatever waits beside it, before the first ANALYZE too.

PostgreSQL counts, within a transaction, the rows that each table was read for (pg_stat_xact_user_tables).
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from schema_kit import LEADER, WORKER, Lab, failure

from m10actors.ops.partitions import LEAST
from m10actors.postgres import evaluations, failures, inputs, waiting
from m10actors.postgres.evaluations import Burial
from m10actors.postgres.outbox import Completion
from m10actors.postgres.pool import Database, query
from m10actors.postgres.waiting import Again
from m10actors.testing.database import MigratedDatabase

WAITING = 10_000
TAKEN = 20
MOST_READ = 25 * TAKEN
"""Rows of one table that taking or writing TAKEN of them may read: far less than wait."""
MINUTE = timedelta(minutes=1)
READ = """
SELECT relid::regclass::text, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
WHERE schemaname IN ('m10_recovery', 'public')
"""
FILL = """
SET session_replication_role = replica;
WITH new AS (
    INSERT INTO public.recovery_candidates
        (failure_match_id, suggestion, error_code, error_message, error_signature, source, fingerprint, due_at)
    SELECT gen_random_uuid(), '', 'TIMEOUT', 'no answer', 's', 'plans', 'f', now() - interval '1 hour'
    FROM generate_series(1, {waiting}) n
    RETURNING id
), work AS (
    INSERT INTO m10_recovery.work_queue (candidate_id) SELECT id FROM new ORDER BY id DESC
)
INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type) SELECT id, 'created' FROM new;
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination, processed_at)
SELECT 'thing', n::text, 'webhook:x', '{{}}', 'receiver', CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, {waiting}) n;
SELECT setval('m10_recovery.outbox_id_seq', greatest(last_value, {least})) FROM m10_recovery.outbox_id_seq;
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination)
SELECT 'thing', n::text, 'webhook:x', '{{}}', 'receiver' FROM generate_series(1, {waiting}) n;
SET session_replication_role = origin;
"""
IN_OTHER_HANDS = """
INSERT INTO m10_recovery.evaluation_claim (candidate_id, generation, claimed_by, claimed_until)
SELECT id, 1, 'another', now() + interval '1 hour' FROM public.recovery_candidates ORDER BY id OFFSET 1000 LIMIT 3000
"""
UNTIL_KEPT = 8
"""PostgreSQL makes a plan for each of the first five calls, and decides then (its documentation, PREPARE)."""
PLANNED_ONCE = {"ingest", "inputs", "evaluation", "claim", "completion"}
"""What every message goes through."""
Step = Callable[[], Sequence[object]]


class OneTransaction:
    """Stands where the pool stands; all that is asked of it is one transaction."""

    def __init__(self, lab: Lab) -> None:
        self._connection = lab.database.connect("superuser")
        self._connection.autocommit = False

    def rows(self, name: str, parameters: Sequence[object] | Mapping[str, object] = (), **how: bool) -> list[Any]:
        return self._connection.execute(query(name), parameters, **how).fetchall()

    def run(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> int:
        return self._connection.execute(query(name), parameters).rowcount

    def value(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Any:
        rows = self.rows(name, parameters)
        return rows[0][0] if rows else None

    def undone(self) -> AbstractContextManager[object]:
        """What is asked within leaves its plans and nothing else."""
        return self._connection.transaction(force_rollback=True)

    def read_of(self, work: Callable[[], object]) -> Mapping[str, int]:
        """How many rows of each table it reads."""
        before = self._read()
        work()
        return {table: rows - before[table] for table, rows in self._read().items()}

    def _read(self) -> dict[str, int]:
        return defaultdict(int, self._connection.execute(READ).fetchall())


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def watched(lab: Lab) -> OneTransaction:
    """All that the lab asks from here on is asked of it."""
    lab.app = cast("Database", watched := OneTransaction(lab))
    return watched


def steps(lab: Lab, taken: int) -> Iterator[tuple[str, Step]]:
    """What the pipeline does with so many rows, one after the other."""
    ids = [row[0] for row in lab.sql.execute("SELECT id FROM recovery_candidates WHERE source = 'plans' ORDER BY id")]
    middle = len(ids) // 2  # sweep and fallback take from the ends
    due, slow, lost = ([*ids[first : first + taken]] for first in range(middle, middle + 3 * taken, taken))
    attempts = [(each, 1) for each in slow]
    claimed: list[Any] = []
    epoch = lab.lead(LEADER, MINUTE)
    app = lab.app
    yield "ingest", lambda: failures.ingest(app, [failure(uuid4(), key=uuid4()) for _ in range(taken)], "test")
    yield "inputs", lambda: list(inputs.read(app, due))
    yield "sweep", lambda: evaluations.claim_overdue(app, WORKER, taken, MINUTE, MINUTE)
    yield "fallback", lambda: evaluations.claim_fallback(app, WORKER, taken, MINUTE)
    yield "begin", lambda: evaluations.begin_attempts(app, WORKER, attempts, MINUTE)
    yield "attempts", lambda: list(evaluations.attempts_made(app, attempts))
    yield "renewal", lambda: attempts[: evaluations.renew_attempts(app, WORKER, attempts, MINUTE)]
    yield "wait", lambda: waiting.wait_for(app, WORKER, [(*each, "slow") for each in attempts]) or attempts
    yield "waiting", lambda: waiting.claim(app, WORKER, "slow", taken, MINUTE)
    yield "again", lambda: waiting.ask_again(app, WORKER, [Again(*each, MINUTE) for each in attempts]) or attempts
    yield "hints", lambda: failures.enqueue_fallback(app, lost) or lost
    yield "dead letters", lambda: list(evaluations.bury(app, WORKER, [*map(burial, lost)]))
    yield "evaluation", lambda: [lab.evaluate(each, execute=True) for each in due]
    yield "claim", lambda: claimed.extend(lab.claim(epoch, limit=taken)) or claimed
    yield "completion", lambda: lab.complete(epoch, *[Completion(each.id, "delivered") for each in claimed])


@pytest.mark.parametrize("analyzed", [False, True], ids=["before the first ANALYZE", "after it"])
def test_what_is_taken_and_written_reads_no_table_whole(lab: Lab, watched: OneTransaction, analyzed: bool) -> None:
    fill(lab, WAITING)
    if analyzed:
        lab.sql.execute("ANALYZE")
    reads_by_index(lab, watched)


@pytest.mark.parametrize("how", ["ANALYZE", "VACUUM"])
def test_after_statistics_that_saw_pages_and_no_rows_too(lab: Lab, watched: OneTransaction, how: str) -> None:
    """Autovacuum came by before a bulk was committed."""
    with lab.sql.transaction():
        fill(lab, WAITING)
        lab.database.connect("superuser").execute(how.encode())
    reads_by_index(lab, watched, PLANNED_ONCE)


def test_by_plans_that_were_made_while_there_was_next_to_nothing_too(lab: Lab, watched: OneTransaction) -> None:
    """A connection keeps its plans, and autovacuum, which would have them made anew, comes a minute later."""
    lab.sql.execute("VACUUM (ANALYZE)")
    fill(lab, 8)
    for _ in range(UNTIL_KEPT):
        with watched.undone():
            for _, step in steps(lab, 1):
                step()
    lab.sql.execute("DELETE FROM m10_recovery.work_queue")
    fill(lab, WAITING)
    lab.sql.execute(IN_OTHER_HANDS)
    reads_by_index(lab, watched)


def burial(candidate_id: int) -> Burial:
    return Burial(str(uuid4()), candidate_id, 1, None, {}, "poison")


def fill(lab: Lab, waiting: int) -> None:
    lab.sql.execute(FILL.format(waiting=waiting, least=LEAST).encode())


def reads_by_index(lab: Lab, watched: OneTransaction, names: Container[str] | None = None) -> None:
    too_much: dict[tuple[str, str], int] = {}
    for name, step in steps(lab, TAKEN):
        done: list[object] = []
        read = watched.read_of(lambda step=step, done=done: done.extend(step()))  # type: ignore[misc]
        assert len(done) == TAKEN, name
        assert all(done), name
        if names is None or name in names:
            too_much |= {(name, table): rows for table, rows in read.items() if rows > MOST_READ}
    assert too_much == {}


def test_a_batch_comes_in_by_index_though_its_plan_was_made_for_one_row(lab: Lab) -> None:
    watched = OneTransaction(lab)
    app = cast("Database", watched)
    lab.open()
    lab.sql.execute("ANALYZE")
    for each in ("plan", "measure"):
        batch = [failure(uuid4()) for _ in range(TAKEN)]
        read = watched.read_of(lambda batch=batch: failures.ingest(app, batch, "test"))  # type: ignore[misc]
        if each == "plan":
            fill(lab, WAITING)
    assert {table: rows for table, rows in read.items() if rows > MOST_READ} == {}
