"""A leased evaluator: asks a model, or any other service, over HTTP which action may help.

    [decisions]
    evaluators = ["rules", "model"]

    [evaluators.model]
    use = "m10_model:Model"
    leased = true
    batch_size = 8
    timeout = "20s"
    on_failure = "abstain"
    options = { url = "https://models.example.com/classify", token_from = "MODEL_TOKEN", timeout_seconds = 15 }

It posts `{"failures": [{"id", "code", "message", "source", "occurrences"}], "actions": ["…"]}` and expects
`{"answers": [{"id", "action", "confidence", "because"}]}`, without those that the model knows nothing of. 429 and 503
mean later, after as many seconds as Retry-After says. Anything else that goes wrong is raised: the engine asks again.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from m10actors.evaluators import Answer, Facts, Later, Proposal

BUSY = frozenset({429, 503})
LATER = timedelta(seconds=60)


@dataclass(frozen=True)
class Model:
    """`token_from`: the environment variable that holds the bearer token, if one is needed. `timeout_seconds` has to be
    less than the `timeout` of the evaluator.
    """

    url: str
    token_from: str | None = None
    timeout_seconds: float = 15.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ValueError(f"url: expected an address like https://HOST/PATH, got {self.url!r}")
        if self.token_from is not None and self.token_from not in os.environ:
            raise ValueError(f"token_from: expected the name of a variable that is set, got {self.token_from!r}")

    def evaluate(self, batch: Sequence[Facts]) -> list[Answer]:
        response = httpx.post(self.url, json=_question(batch), headers=self._headers(), timeout=self.timeout_seconds)
        if response.status_code in BUSY:
            delay = _delay(response.headers)
            return [Later(facts.candidate.id, delay) for facts in batch]
        response.raise_for_status()
        return [
            Proposal(each["id"], each["action"], each["confidence"], each.get("because", ""), {"url": self.url})
            for each in response.json()["answers"]
        ]

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {os.environ[self.token_from]}"} if self.token_from else {}


def _question(batch: Sequence[Facts]) -> dict[str, object]:
    failures = [
        {
            "id": facts.candidate.id,
            "code": facts.candidate.error_code,
            "message": facts.candidate.error_message,
            "source": facts.candidate.source,
            "occurrences": facts.candidate.occurrence_count,
        }
        for facts in batch
    ]
    return {"failures": failures, "actions": sorted(batch[0].actions)}


def _delay(headers: Mapping[str, str]) -> timedelta:
    """Seconds; a date is not worth the trouble."""
    seconds = headers.get("retry-after", "")
    return timedelta(seconds=min(int(seconds), 3600)) if seconds.isdecimal() else LATER
