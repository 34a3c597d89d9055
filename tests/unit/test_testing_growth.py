"""What a soak calls growth without bound."""

from dataclasses import replace

import pytest

from m10actors.testing.growth import MB, Sample, Table, faults

KEYS = Table(rows=100_000, dead=0, changed=0, changed_in_place=0, vacuumed=0, bytes=10 * MB, index_bytes=5 * MB)
CLAIMS = replace(KEYS, rows=10, bytes=MB, index_bytes=MB)


def _after(messages: int) -> Sample:
    """All as it should be: what is counted per message grows with the messages, the rest does not."""
    part = messages // 100_000
    keys = replace(KEYS, rows=KEYS.rows * part, bytes=KEYS.bytes * part, index_bytes=KEYS.index_bytes * part)
    tables = {"accepted_key": keys, "m10_recovery.evaluation_claim": CLAIMS}
    return Sample(messages, float(messages), tables, {"ix_rc_due": MB}, burnt=0, resident_mb=90.0)


SOUND = [_after(messages) for messages in range(100_000, 1_000_001, 100_000)]


def test_what_grows_with_the_messages_alone_is_no_fault() -> None:
    assert faults(SOUND) == []
    assert faults(SOUND[:1]) == []


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (replace(SOUND[-1], burnt=3), "3 candidate ids"),
        (replace(SOUND[-1], resident_mb=160.0), "160 MB"),
        (replace(SOUND[-1], open_indexes={"ix_rc_due": 30 * MB}), "ix_rc_due has 30 MB"),
        (
            replace(SOUND[-1], tables={"m10_recovery.evaluation_claim": replace(CLAIMS, bytes=30 * MB)}),
            "evaluation_claim has 30 MB",
        ),
        (replace(SOUND[-1], tables={"accepted_key": replace(KEYS, dead=100_000)}), "100000 dead rows"),
        (replace(SOUND[-1], tables={"accepted_key": replace(KEYS, bytes=40 * MB)}), "bytes for each row"),
    ],
)
def test_what_grows_beside_them_is_one(last: Sample, word: str) -> None:
    [fault] = faults([*SOUND[:-1], last])
    assert word in fault
