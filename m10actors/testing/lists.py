"""How long lists, counts and verdicts take with many candidates, over the API of a running engine.

`python -m m10actors.testing.lists --candidates 100000` prints the median and the 95th percentile of each, in
milliseconds; exit code 1 if a median is not below --limit.
"""

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from m10actors.postgres import controls, tokens
from m10actors.recovery.pauses import Part
from m10actors.testing.campaign.stage import DATABASE, Stage

PREFIX = "/api/v1/recovery"
PAGE = 100
QUESTIONS = {
    "a page": f"/candidates?limit={PAGE}",
    "a page from the middle (after)": f"/candidates?limit={PAGE}&after={{middle}}",
    "pending": f"/candidates?limit={PAGE}&decision=pending",
    "pending, oldest first": f"/candidates?limit={PAGE}&decision=pending&order=oldest",
    "failed": f"/candidates?limit={PAGE}&execution_status=failed",
    "by source": f"/candidates?limit={PAGE}&source=service-7",
    "by error code": f"/candidates?limit={PAGE}&error_code=CODE_7",
    "by action": f"/candidates?limit={PAGE}&action=notify_ops",
    "since an hour": f"/candidates?limit={PAGE}&since={{since}}",
    "due": f"/candidates?limit={PAGE}&due=true",
    "pending of a source": f"/candidates?limit={PAGE}&decision=pending&source=service-7",
    "text that is frequent": f"/candidates?limit={PAGE}&q=upstream",
    "text that is rare": f"/candidates?limit={PAGE}&q=connection+77777+",
    "most occurrences": f"/candidates?limit={PAGE}&order=occurrences",
    "most occurrences, pending": f"/candidates?limit={PAGE}&order=occurrences&decision=pending",
    "count of all": "/candidates?limit=1&total=true",
    "count of pending": "/candidates?limit=1&total=true&decision=pending",
    "count of a source": "/candidates?limit=1&total=true&source=service-7",
    "count of an error code": "/candidates?limit=1&total=true&error_code=CODE_7",
    "count of a text": "/candidates?limit=1&total=true&q=upstream",
    "stats": "/stats",
    "one candidate": "/candidates/{middle}",
}
FILL = Path(__file__).with_suffix(".sql").read_bytes()


@dataclass(frozen=True, slots=True)
class Timed:
    """What was asked, and how long the answers took, in milliseconds, in rising order."""

    name: str
    times: list[float]

    @property
    def median(self) -> float:
        return median(self.times)

    @property
    def p95(self) -> float:
        return self.times[max(0, ceil(len(self.times) * 0.95) - 1)]


def measured(folder: Path, candidates: int, rounds: int) -> Iterator[Timed]:
    """Every question of QUESTIONS, then approvals of pages; each `rounds` times, after two that are not counted."""
    with Stage(folder) as stage:
        with psycopg.connect(stage.servers.start().postgres_url("postgres", DATABASE), autocommit=True) as sql:
            sql.execute(FILL, {"count": candidates})
            sql.execute("VACUUM ANALYZE public.recovery_candidates")
        controls.pause(stage.ops, [Part.INTAKE, Part.DELIVERY], "lists", "only reading and verdicts are measured", None)
        token = tokens.create(stage.ops, "reader", ["recovery:read", "recovery:approve"])
        stage.start()
        engine = http.client.HTTPConnection("127.0.0.1", stage.engines[0].port, timeout=60)

        def ask(path: str, body: object = None) -> Any:
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            method, raw = ("GET", None) if body is None else ("POST", json.dumps(body))
            engine.request(method, PREFIX + path, raw, headers)
            answer = engine.getresponse()
            said = json.loads(answer.read())
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{path}: {answer.status} {said}")
            return said

        middle, since = candidates // 2, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        for name, question in QUESTIONS.items():
            yield _timed(name, rounds, partial(ask, question.format(middle=middle, since=since)))
        for decision in ("approved", "rejected"):
            yield _timed(f"a page {decision}", rounds, _verdicts(ask, decision))
        engine.close()


def _verdicts(ask: Callable[..., Any], decision: str) -> Callable[[], object]:
    """Each call decides the next page of what is pending; what to decide is asked beforehand."""
    pages = _pages(ask)

    def decide() -> object:
        chosen = [{"candidate_id": each["id"], "generation": each["evaluated_generation"]} for each in next(pages)]
        began = time.monotonic()
        said = ask("/approve/batch", {"decision": decision, "candidates": chosen})
        took = time.monotonic() - began
        assert {each["outcome"] for each in said["items"]} == {decision}, said
        return took

    return decide


def _pages(ask: Callable[..., Any]) -> Iterator[list[dict[str, Any]]]:
    while True:
        yield ask(f"/candidates?decision=pending&order=oldest&limit={PAGE}")["items"]


def _timed(name: str, rounds: int, call: Callable[[], object]) -> Timed:
    """A call that answers with seconds has measured itself."""
    times = []
    for number in range(rounds + 2):
        began = time.monotonic()
        said = call()
        took = said if isinstance(said, float) else time.monotonic() - began
        if number >= 2:
            times.append(took * 1000)
    return Timed(name, sorted(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--limit", type=float, default=100.0, help="the median that each has to be below, in ms")
    given = parser.parse_args()
    slow = False
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        print(f"{'with ' + format(given.candidates, ',') + ' candidates':34}{'median ms':>10}{'p95 ms':>10}")  # noqa: T201
        for timed in measured(Path(folder), given.candidates, given.rounds):
            print(f"{timed.name:34}{timed.median:10.1f}{timed.p95:10.1f}", flush=True)  # noqa: T201
            slow |= timed.median >= given.limit
    sys.exit(slow)


if __name__ == "__main__":
    main()
