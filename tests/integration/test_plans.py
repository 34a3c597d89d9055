"""What the pipeline reads of its tables: as much as it takes, whatever waits beside it, before the first ANALYZE too.

PostgreSQL counts, within a transaction, the rows that each table was read for (pg_stat_xact_user_tables).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from schema_kit import LEADER, WORKER, Lab, failure

from m10actors.ops.partitions import LEAST
from m10actors.postgres import evaluations, failures, inputs
from m10actors.postgres.outbox import Completion
from m10actors.postgres.pool import Database, query
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
INSERT INTO public.recovery_candidates
    (failure_match_id, suggestion, error_code, error_message, error_signature, source, fingerprint, due_at)
SELECT gen_random_uuid(), '', 'TIMEOUT', 'no answer', 's', 'plans', 'f', now() - interval '1 hour'
FROM generate_series(1, {waiting}) n;
INSERT INTO m10_recovery.work_queue (candidate_id) SELECT c.id FROM public.recovery_candidates c ORDER BY c.id DESC;
INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type)
SELECT c.id, 'created' FROM public.recovery_candidates c;
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination, processed_at)
SELECT 'thing', n::text, 'webhook:x', '{{}}', 'receiver', CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, {waiting}) n;
SELECT setval('m10_recovery.outbox_id_seq', {least});
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination)
SELECT 'thing', n::text, 'webhook:x', '{{}}', 'receiver' FROM generate_series(1, {waiting}) n;
SET session_replication_role = origin;
"""


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


@pytest.mark.parametrize("analyzed", [False, True], ids=["before the first ANALYZE", "after it"])
def test_what_is_taken_and_written_reads_no_table_whole(lab: Lab, analyzed: bool) -> None:
    lab.sql.execute(FILL.format(waiting=WAITING, least=LEAST).encode())
    if analyzed:
        lab.sql.execute("ANALYZE")
    watched = OneTransaction(lab)
    lab.app = cast("Database", watched)
    between = "SELECT id FROM recovery_candidates ORDER BY id OFFSET %s LIMIT %s"  # what sweep and fallback leave
    due = [row[0] for row in lab.sql.execute(between, [WAITING // 2, TAKEN])]
    claimed: list[Any] = []
    epoch = lab.lead(LEADER, MINUTE)
    steps: dict[str, Callable[[], Sequence[object]]] = {
        "ingest": lambda: failures.ingest(lab.app, [failure(uuid4(), key=uuid4()) for _ in range(TAKEN)], "test"),
        "inputs": lambda: list(inputs.read(lab.app, due)),
        "sweep": lambda: evaluations.claim_overdue(lab.app, WORKER, TAKEN, MINUTE, MINUTE),
        "fallback": lambda: evaluations.claim_fallback(lab.app, WORKER, TAKEN, MINUTE),
        "evaluation": lambda: [lab.evaluate(each, execute=True) for each in due],
        "claim": lambda: lab.claim(epoch, limit=TAKEN),
        "completion": lambda: lab.complete(epoch, *[Completion(each.id, "delivered") for each in claimed]),
    }
    for name, step in steps.items():
        done: list[Any] = []
        read = watched.read_of(lambda step=step, done=done: done.extend(step()))  # type: ignore[misc]
        claimed = done
        assert len(done) == TAKEN, name
        assert all(done), name
        assert {table: rows for table, rows in read.items() if rows > MOST_READ} == {}, name


def test_a_batch_comes_in_by_index_though_its_plan_was_made_for_one_row(lab: Lab) -> None:
    watched = OneTransaction(lab)
    app = cast("Database", watched)
    lab.open()
    lab.sql.execute("ANALYZE")
    for each in ("plan", "measure"):
        batch = [failure(uuid4()) for _ in range(TAKEN)]
        read = watched.read_of(lambda batch=batch: failures.ingest(app, batch, "test"))  # type: ignore[misc]
        if each == "plan":
            lab.sql.execute(FILL.format(waiting=WAITING, least=LEAST).encode())
    assert {table: rows for table, rows in read.items() if rows > MOST_READ} == {}
