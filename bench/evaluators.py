"""Evaluators as a user writes them (docs/evaluators.md), as small as they can be, and the settings that name them."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import psycopg

from bench.words import ACTION, CONFIDENCE
from m10actors.evaluators import Facts, Proposal

HANDLED = "INSERT INTO public.handled (candidate_id, code) VALUES (%s, %s)"
arrivals: dict[int, float] = {}
"""By candidate: when it came to the stopwatch, by the monotonic clock."""


class Trivial:
    """The same action for everybody."""

    def evaluate(self, batch: Sequence[Facts]) -> Iterator[Proposal]:
        return (Proposal(facts.candidate.id, ACTION, CONFIDENCE, "bench") for facts in batch)


class PerMessage:
    """A statement of its own for each candidate, in a transaction for each batch, sent in pipeline mode."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._mine = threading.local()

    def evaluate(self, batch: Sequence[Facts]) -> Iterator[Proposal]:
        if not hasattr(self._mine, "connection"):
            self._mine.connection = psycopg.connect(self._url, autocommit=True)
        with self._mine.connection.pipeline(), self._mine.connection.transaction():
            for facts in batch:
                self._mine.connection.execute(HANDLED, (facts.candidate.id, facts.candidate.error_code))
        return (Proposal(facts.candidate.id, ACTION, CONFIDENCE, "bench") for facts in batch)


class Stopwatch:
    """Looks at the clock, and abstains."""

    def evaluate(self, batch: Sequence[Facts]) -> Iterable[Proposal]:
        now = time.monotonic()
        for facts in batch:
            arrivals.setdefault(facts.candidate.id, now)
        return ()


def asked(evaluator: type, **options: object) -> Mapping[str, object]:
    """Settings by which this evaluator decides alone, and leaves no provenance."""
    return {
        "decisions.evaluators": ["bench"],
        "evaluators.bench.use": f"{evaluator.__module__}:{evaluator.__name__}",
        "evaluators.bench.batch_size": 500,
        "evaluators.bench.provenance": False,
        "evaluators.bench.options": options,
    }
