"""A fast evaluator: words in the message of a failure say which action may help.

    [decisions]
    evaluators = ["rules", "keywords"]

    [evaluators.keywords]
    use = "m10_keywords:Keywords"
    options = { words = { "disk full" = "notify_ops", "stale lock" = "retry_exponential" }, confidence = 0.7 }

With this folder on PYTHONPATH the dotted path finds it; installed as a package (`pip install ./examples/evaluators`) it
is found by its name, and `use` can go.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from m10actors.evaluators import Facts, Proposal


@dataclass(frozen=True)
class Keywords:
    """`words`: what may stand in the message, in whatever letter case, and the action that it speaks for; the first
    that is found counts.
    """

    words: Mapping[str, str]
    confidence: float = 0.7

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("words: expected a table of words and actions, got nothing")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence: expected a number from 0 to 1, got {self.confidence}")

    def evaluate(self, batch: Sequence[Facts]) -> Iterator[Proposal]:
        for facts in batch:
            message = facts.candidate.error_message.lower()
            found = next((word for word in self.words if word.lower() in message), None)
            if found is not None:
                yield Proposal(facts.candidate.id, self.words[found], self.confidence, f'the message says "{found}"')
