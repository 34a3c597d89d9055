"""Evaluators for tests, found by dotted path (`m10actors.testing.evaluators:Scripted`) as yours are. What one does says
the test.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from m10actors.evaluators import Answer, Facts, Proposal

Script = Callable[[Sequence[Facts]], Iterable[Answer]]
_scripts: dict[str, Script] = {}


@contextmanager
def scripted(**scripts: Script) -> Iterator[None]:
    """For a while each of these does what it is given."""
    _scripts.update(scripts)
    try:
        yield
    finally:
        for name in scripts:
            _scripts.pop(name, None)


@dataclass
class Scripted:
    """Its option names its script."""

    script: str

    def evaluate(self, batch: Sequence[Facts]) -> Iterable[Answer]:
        return _scripts[self.script](batch)


class Calls:
    """A script that notes what it was asked, and how many calls there were at once."""

    def __init__(self, answer: Script) -> None:
        self.batches: list[list[int]] = []
        self.most_at_once = 0
        self._answer = answer
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, batch: Sequence[Facts]) -> list[Answer]:
        with self._lock:
            self.batches.append([facts.candidate.id for facts in batch])
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            return list(self._answer(batch))
        finally:
            with self._lock:
                self._now -= 1


def propose(action: str = "retry_exponential", confidence: float = 0.9, **others: Any) -> Script:
    """The same for everybody."""
    return lambda batch: [Proposal(facts.candidate.id, action, confidence, **others) for facts in batch]


def abstain(_batch: Sequence[Facts]) -> Iterable[Answer]:
    """Says nothing about anybody."""
    return ()
