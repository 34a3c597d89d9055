"""A short slice of the soak, `python -m m10actors.testing.soak`: the whole engine in a process of its own."""

from pathlib import Path

from m10actors.testing.growth import faults
from m10actors.testing.soak import run


def test_a_soak_burns_no_id_and_finds_nothing_that_grows_without_bound(tmp_path: Path) -> None:
    samples = run(tmp_path, count=2000, every=1000, fsync=False)
    assert [each.messages for each in samples] == [1200, 2000]
    assert faults(samples) == []
    last = samples[-1]
    assert last.burnt == 0
    assert last.resident_mb > 0
    assert {"recovery_candidates", "m10_recovery.outbox", "m10_recovery.suggestion_provenance"} <= set(last.tables)
    assert any(name.endswith("ix_rc_due") for name in last.open_indexes)
