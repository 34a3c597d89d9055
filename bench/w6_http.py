"""W6, over HTTP: failures reported one by one and in batches, by a few clients that keep their connections."""

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from bench.bare import PATH
from bench.process import Served, bare_endpoint, m10_run
from bench.stage import Stage
from m10actors.postgres import tokens

SINGLE = 500
BATCHED = 20_000
BATCH = 500
CLIENTS = 4


class HttpIngest:
    """The endpoint of `m10 run`, whose intake is paused; by hand: a bare one around the same statement."""

    figures = (("W6 ingest, HTTP single", "failures/s"), ("W6 ingest, HTTP batch", "failures/s"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._single = max(CLIENTS, int(SINGLE * scale))
        self._batches = max(CLIENTS, int(BATCHED * scale) // BATCH)
        self._token = tokens.create(stage.parts.ops, "bench", ["recovery:write"])

    def ours(self) -> Sequence[float]:
        with self._stage.without_intake(), m10_run(self._stage) as served:
            return self._report(served)

    def by_hand(self) -> Sequence[float]:
        with bare_endpoint(self._stage) as served:
            return self._report(served)

    def _report(self, served: Served) -> Sequence[float]:
        single = self._send(served, PATH, [json.dumps(_failure()) for _ in range(self._single)])
        bodies = [json.dumps([_failure() for _ in range(BATCH)]) for _ in range(self._batches)]
        batched = self._send(served, f"{PATH}/batch", bodies) * BATCH
        self._stage.forget()
        return [single, batched]

    def _send(self, served: Served, path: str, bodies: Sequence[str]) -> float:
        """Requests a second."""
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}

        def client(mine: Sequence[str]) -> None:
            connection = http.client.HTTPConnection(served.address, timeout=60)
            for body in mine:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status in {200, 202}, text
            connection.close()

        started = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(client, [bodies[number::CLIENTS] for number in range(CLIENTS)]))
        return len(bodies) / (time.monotonic() - started)


def _failure() -> dict[str, object]:
    return {"failure_payload": {"error_type": "TIMEOUT", "raw": "no answer"}, "source": uuid4().hex}
