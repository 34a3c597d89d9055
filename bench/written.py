"""Whether two ways to write an evaluation write the same."""

from collections.abc import Mapping

from bench.stage import Stage

TABLES = (
    "public.recovery_candidates",
    "m10_recovery.suggestion_provenance",
    "m10_recovery.execution",
    "m10_recovery.outbox",
    "m10_recovery.replay_log",
)
"""What an evaluation writes, but for counters of the caps and contexts of records: the time of day and the batches say
how many rows those are.
"""
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"


def written(stage: Stage, count: int) -> Mapping[str, float]:
    """How often each column of TABLES is filled, for each of so many candidates; where it never is, it is left out."""
    return {
        f"{table}.{column}": filled / count
        for table in TABLES
        for column, filled in _filled(stage, table).items()
        if filled
    }


def check_written(stage: Stage, count: int, expected: Mapping[str, float]) -> None:
    """AssertionError if others than those who wrote `expected` wrote other rows for these candidates."""
    different = written(stage, count).items() ^ expected.items()
    assert not different, f"other rows than expected: {sorted(different)}"


def _filled(stage: Stage, table: str) -> Mapping[str, int]:
    columns = [column for (column,) in stage.sql(COLUMNS, table)]
    [counts] = stage.sql(f"SELECT {', '.join(f'count({column})' for column in columns)} FROM {table}")
    return dict(zip(columns, counts, strict=True))
