"""The shipped sample: failures of programs that were really run (examples/failures/collect.py)."""

from typing import Final

from m10actors.ingest import Ingest
from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import parse
from m10actors.recovery.file_keys import FileKeys
from m10actors.shipped import shipped

SAMPLE: Final = shipped("examples/failures/sample.jsonl")


def sample_lines() -> list[bytes]:
    """One failure per line, as JSON."""
    return SAMPLE.read_bytes().splitlines()


def feed_sample(ingest: Ingest) -> None:
    """Feeds the sample. Each line has the same key whenever and wherever it is fed, so that a second time counts
    nothing.
    """
    keys = FileKeys("sample", "sample.jsonl")
    failures = []
    for line in sample_lines():
        item = decode(line)
        assert isinstance(item, dict), "the shipped sample holds JSON objects"
        failures.append(parse({**item, "idempotency_key": str(keys.next_key(line))}, default_source="sample"))
    ingest.accept(failures, created_by="m10 dev")
