"""What the outcome of an attempt becomes in the outbox, one by one."""

from datetime import timedelta
from uuid import UUID

import pytest

from m10actors.actors import outcome_report
from m10actors.actors.completions import WORKER_CRASHED, completion
from m10actors.delivery import Dead, Delivered, Event, Held, Outcome, ReceiverAhead, Retry
from m10actors.postgres.outbox import Completion, Settled

MINUTE = timedelta(minutes=1)


def said(status: int | None, answer: str = "") -> dict[str, object]:
    return {"status": status, "answer": answer}


def took(told: dict[str, object]) -> dict[str, object]:
    return {"ms": 12} | told


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            Delivered(200, False, "ok"),
            Completion(7, "delivered", result=said(200, "ok"), attempt=took(said(200, "ok"))),
        ),
        (Delivered(202, True, ""), Completion(7, "running", result=said(202), attempt=took(said(202)))),
        (Delivered(None, False, ""), Completion(7, "delivered", result=said(None), attempt=took(said(None)))),
        (Retry("http_500", True, None, 500), Completion(7, "failed", "http_500", attempt=took({"status": 500}))),
        (
            Retry("http_429", True, MINUTE, 429),
            Completion(7, "failed", "http_429", MINUTE, attempt=took({"status": 429})),
        ),
        (Retry("refused", False), Completion(7, "unreachable", "refused", attempt=took({}))),
        (Dead("http_400", 400, ""), Completion(7, "dead", "http_400", result=said(400), attempt=took(said(400)))),
        (
            Dead("http_410", 410, "", True),
            Completion(7, "gone", "http_410", result=said(410), attempt=took(said(410))),
        ),
        (
            ReceiverAhead(412, "newer"),
            Completion(7, "failed", "receiver_ahead", attempt=took(said(412, "newer"))),
        ),
        (Held("busy", 60.0), Completion(7, "held", "busy", MINUTE)),
        (Held("breaker_open", 60.0), Completion(7, "cut_off", "breaker_open", MINUTE)),
    ],
)
def test_an_outcome_becomes_a_completion(outcome: Outcome | Held, expected: Completion) -> None:
    assert completion(7, outcome, 0.0123) == expected


def test_an_attempt_whose_worker_crashed_counts_and_has_no_duration() -> None:
    crashed = "the delivery worker crashed during the attempt"
    assert completion(7, WORKER_CRASHED, None) == Completion(7, "failed", crashed, attempt={})


def test_the_log_says_of_a_dead_event_where_it_was_to_go_and_why_it_was_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = Event(7, UUID(int=7), "thing", "1", "webhook:x", b"{}", "crm", 5, "key")
    outcome_report.report([(event, Retry("http_503", True))], [Settled(7, "dead", "webhook:x", "thing", None, None)], 1)
    [record] = caplog.records
    assert record.getMessage() == "event_dead"
    assert record.fields == {  # type: ignore[attr-defined]
        "event_id": 7, "event_type": "webhook:x", "destination": "crm", "reason": "http_503",
    }  # fmt: skip
