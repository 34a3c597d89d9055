"""What is run on a server, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["redis", "postgres"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the tests, as `pytest -m` selects them."""

    name: str
    expression: str


_FORMS = "sentinel or one_node_cluster or three_node_cluster"
PARTS: dict[Kind, tuple[Part, ...]] = {
    "redis": (
        Part("one server", f"redis and not ({_FORMS})"),
        Part("Sentinel", "sentinel"),
        Part("Cluster of 1", "one_node_cluster"),
        Part("Cluster of 3", "three_node_cluster"),
    ),
    "postgres": (Part("one server", "postgres"),),
}
"""For servers that the tests start, stop and kill."""

TESTS: dict[Kind, tuple[str, ...]] = {
    "redis": (
        "test_streams_*", "test_servers_*", "test_traps_*", "test_fuzz_stream", "test_bad_inputs_redis",
        "test_pipeline_way", "test_pipeline_redis", "test_pipeline_stream_reader", "test_pipeline_reclaimer",
    ),
    "postgres": (
        "test_schema_*", "test_postgres_*", "test_bad_inputs_sql", "test_people_*", "test_replay",
        "test_pipeline_way", "test_pipeline_postgres", "test_pipeline_outbox",
    ),
}  # fmt: skip
"""The files of `tests/integration` that are about a store; `tests/integration` itself takes about ten times as long."""

CONTAINER_PARTS: dict[Kind, tuple[Part, ...]] = {
    "redis": (Part("container", f"redis and not servers and not ({_FORMS})"),),
    "postgres": (Part("container", "postgres and not servers"),),
}
"""For a server that runs already."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What one run of pytest came to."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    """The names of the tests."""
    skipped: Counter[str] = field(default_factory=Counter)
    """How often each reason was given."""
    seconds: float = 0.0
    exit_code: int = 0
    """pytest's: 0 and 1 are told by the counts, 5 is that nothing was selected."""

    @property
    def is_sound(self) -> bool:
        """Whether something passed and nothing failed, pytest itself included."""
        return self.exit_code == 0 and not self.failed and self.passed > 0


@dataclass(frozen=True, slots=True)
class Ran:
    """One part on one server, or with one Python."""

    server: str
    """Its name and version, by its own word."""
    source: str
    part: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Absent:
    """A server or a Python that nothing was run on."""

    server: str
    reason: str


Row = Ran | Absent


def files(kind: Kind, folder: Path) -> list[str]:
    """The paths of TESTS, as pytest takes them."""
    return [str(path) for name in TESTS[kind] for path in sorted(folder.glob(f"{name}.py"))]


def exit_code(rows: Sequence[Row]) -> int:
    """1 if something failed, or nothing ran; a server that cannot be had is no failure."""
    ran = [row for row in rows if isinstance(row, Ran)]
    return 0 if ran and all(row.counts.is_sound for row in ran) else 1
