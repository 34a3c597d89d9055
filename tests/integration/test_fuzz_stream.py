"""Anything at all, planted in the stream beside good entries while the engine runs: nothing stays pending, every good
one is evaluated, every bad one is accounted for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pipeline_kit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline_kit import NAMES, Engine, World, running

from m10actors.streams.codec import BadEntry, Entry, decode
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SHORT: dict[str, Any] = {
    "tree__reclaimer__poll": "5ms",
    "intake__claim_idle": "20ms",
    "intake__evaluation_lease": "20ms",
    "decisions__evaluator_timeout": "10ms",
}
SECONDS = 10.0
NOBODYS = 10**6
"""No candidate has an id as high as this one."""

names = st.one_of(
    st.sampled_from([b"candidate_id", b"message_id", b"priority", b"metadata", b"enqueued_at", b"idempotency_key"]),
    st.binary(max_size=20),
)
numbers = st.integers(-(2**70), 2**70)
texts = st.one_of(
    st.binary(max_size=64),
    st.text(max_size=64).map(lambda text: text.encode("utf-8", "surrogatepass")),
    numbers.map(lambda number: b"%d" % number),
    st.tuples(numbers, numbers).map(lambda pair: b"%d:%d" % pair),
    st.sampled_from([b"", b"{}", b"null", b"NaN", b"1e400", b"[" * 100_000, b"x" * 300_000, b"9" * 5000, b"7\0"]),
)
anything = st.lists(st.tuples(names, texts), min_size=1, max_size=8)
unknown = st.integers(NOBODYS, 2**63 - 1)
forged = st.tuples(unknown, st.integers(1, 2**31 - 1)).map(
    lambda pair: [(b"candidate_id", b"%d" % pair[0]), (b"message_id", b"%d:%d" % pair)]
)
entries = st.one_of(anything, anything, forged)


@dataclass
class Planted:
    """What was planted so far."""

    engine: Engine
    good: int = 0
    malformed: set[str] = field(default_factory=set)
    forged: set[str] = field(default_factory=set)

    def plant(self, fields: list[tuple[bytes, bytes]]) -> None:
        flat = [part for pair in fields for part in pair]
        entry_id: bytes = self.engine.world.raw.execute_command("XADD", NAMES.stream, "*", *flat)
        match decode(entry_id, flat):
            case BadEntry():
                self.malformed.add(entry_id.decode())
            case Entry(_, candidate, generation, _) if candidate >= NOBODYS:  # else it may be that of a good one
                self.forged.add(f"{candidate}:{generation or 0}")


@pytest.fixture
def planted(world: World) -> Iterator[Planted]:
    with running(world, **SHORT) as engine:
        yield Planted(engine)


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batch=st.lists(entries, min_size=5, max_size=20))
def test_whatever_lies_in_the_stream_nothing_stays_and_all_is_accounted_for(
    planted: Planted, batch: list[list[tuple[bytes, bytes]]]
) -> None:
    engine, world = planted.engine, planted.engine.world
    for fields in batch:
        planted.plant(fields)
    good = engine.ingest(range(planted.good, planted.good + 5))
    planted.good += len(good)
    engine.add(*((candidate, 1) for candidate in good))  # a second time, as a producer does who got no answer
    eventually(lambda: world.stream() == (0, 0), SECONDS)
    query = "SELECT original_msg_id, reason FROM m10_recovery.dead_letter_archive"

    def letters() -> dict[str, str]:
        return dict(world.sql(f"{query} WHERE coalesce(candidate_id, {NOBODYS}) >= {NOBODYS}"))

    accounted_for = planted.malformed | planted.forged
    eventually(lambda: letters().keys() >= accounted_for, SECONDS)  # its entry may go while a later attempt is made
    assert letters().keys() == accounted_for
    assert {letters()[forged] for forged in planted.forged} <= {"candidate_not_found", "too_many_attempts"}
    assert world.stores().evaluated == planted.good
    assert set(engine.restarts().values()) == {0}
