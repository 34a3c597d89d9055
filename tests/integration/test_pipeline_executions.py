"""The real process, killed in every step from the evaluation to the result: the next one goes on, and the action is
carried out once in effect.
"""

import http.client
import json
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from m10actors.postgres import tokens
from m10actors.testing import account
from m10actors.testing.campaign import Stage
from m10actors.testing.receiver import Answer
from m10actors.testing.waiting import eventually

STEPS = (
    "eval.after_decision",
    "approve.after_commit",
    "outbox.after_response",
    "result.after_commit",
)
"""The failpoints of the way, in its order: the process is killed at each of them."""

SETTINGS = {"decisions.auto_execute": False, "intake.max_reclaim_attempts": 10, "outbox.poll_interval": "200ms"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, SETTINGS) as stage:
        stage.receiver.answer = lambda _request: Answer(200, body=b'{"status": "running"}')
        yield stage


class Driver:
    """One engine after another on the same stores, and the person and the receiver who talk to it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        [self._engine] = stage.engines
        scopes = ["recovery:write", "recovery:approve"]
        self._token = tokens.create(stage.ops, "driver", scopes)

    def dies_at(self, step: str, act: Callable[[], object]) -> None:
        """Starts an engine that is killed at `step`, which it comes to after `act` at the latest."""
        with suppress(RuntimeError):  # it died before it had told its address
            self._engine.start(M10_TESTING="1", M10_FAILPOINTS=f"{step}:kill")
            act()
        assert self._engine.process is not None
        status, self._engine.process = self._engine.process.wait(30), None
        assert status == -signal.SIGKILL, f"{step}: {self._engine.log_tail()}"

    def post(self, path: str, body: object) -> tuple[int, Any]:
        """The answer; 0 where the engine died over it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._engine.port, timeout=10)
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        try:
            connection.request("POST", f"/api/v1/recovery/{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def sql(self, query: str) -> Any:
        with psycopg.connect(self._stage.urls["ops"]) as connection:
            row = connection.execute(query).fetchone()
        return None if row is None else row[0]


def test_wherever_the_process_is_killed_the_candidate_goes_on_and_is_executed_once(stage: Stage) -> None:
    driver = Driver(stage)
    failure = {"failure_payload": {"error_type": "TIMEOUT", "raw": "slow"}, "idempotency_key": str(uuid.uuid4())}

    def approve() -> None:
        eventually(lambda: driver.sql("SELECT evaluated_generation = generation FROM recovery_candidates"))
        candidate = driver.sql("SELECT id FROM recovery_candidates")
        driver.post("approve", {"candidate_id": candidate, "decision": "approved"})

    def tell() -> tuple[int, Any]:
        execution = driver.sql("SELECT execution_id FROM m10_recovery.execution")
        return driver.post(f"executions/{execution}/result", {"status": "succeeded"})

    acts: dict[str, Callable[[], object]] = {
        "eval.after_decision": lambda: driver.post("ingest", failure),
        "approve.after_commit": approve,
        "result.after_commit": tell,
    }
    for step in STEPS:
        driver.dies_at(step, acts.get(step, lambda: None))
    stage.start()
    status, told = tell()
    assert (status, told["result"], told["ended_by"]) == (200, "succeeded", "result")
    eventually(lambda: account.is_settled(stage.ops))
    stores = account.stores(stage.ops)
    assert (stores.occurrences, stores.published, stores.delivered, stores.dead) == (1, 1, 1, 0)
    assert (stores.evaluated_twice, stores.published_twice, stores.executing) == (0, 0, 0)
    assert driver.sql("SELECT outcome FROM m10_recovery.execution") == "helped"
    assert len(stage.receiver.ledger.taken()) == 1
    assert stage.stop() == 0
