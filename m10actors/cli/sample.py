"""The shipped sample: failures of programs that were really run (examples/failures/collect.py)."""

from typing import Final

from m10actors.ingest import Ingest
from m10actors.lines import JsonLines, Reported, read
from m10actors.recovery.file_keys import FileKeys
from m10actors.shipped import shipped

SAMPLE: Final = shipped("examples/failures/sample.jsonl")


def feed_sample(ingest: Ingest) -> None:
    """Feeds the sample. Its lines have the same keys wherever it is fed, so that a second time counts nothing."""
    with SAMPLE.open("rb") as stream:
        lines = read(stream, JsonLines("sample"), FileKeys("sample", SAMPLE.name))
        ingest.accept([line.failure for line in lines if isinstance(line, Reported)], created_by="m10 dev")
