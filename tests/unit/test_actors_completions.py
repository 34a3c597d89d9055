"""What the outcome of an attempt becomes in the outbox, one by one."""

from datetime import timedelta

import pytest

from m10actors.actors.completions import WORKER_CRASHED, completion
from m10actors.delivery import Dead, Delivered, Outcome, ReceiverAhead, Retry
from m10actors.postgres.outbox import Completion

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Delivered(200, False, "ok"), Completion(7, "delivered", result={"status": 200, "answer": "ok"})),
        (Delivered(202, True, ""), Completion(7, "running", result={"status": 202, "answer": ""})),
        (Delivered(None, False, ""), Completion(7, "delivered", result={"status": None, "answer": ""})),
        (Retry("http_500", True, None, 500), Completion(7, "failed", "http_500")),
        (Retry("http_429", True, MINUTE, 429), Completion(7, "failed", "http_429", MINUTE)),
        (Retry("refused", False), Completion(7, "unreachable", "refused")),
        (Dead("http_410", 410, "", True), Completion(7, "dead", "http_410", result={"status": 410, "answer": ""})),
        (ReceiverAhead(412, "newer"), Completion(7, "failed", "receiver_ahead")),
        (WORKER_CRASHED, Completion(7, "failed", "the delivery worker crashed during the attempt")),
    ],
)
def test_an_outcome_becomes_a_completion(outcome: Outcome, expected: Completion) -> None:
    assert completion(7, outcome) == expected
