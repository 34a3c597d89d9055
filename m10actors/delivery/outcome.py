"""What became of an attempt: a closed set, and the pure decision from the answer of a receiver."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from m10actors.recovery.retry import retry_after


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. `running`: it reports the result later. `status` is None for a notice to the log."""

    status: int | None
    running: bool
    excerpt: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt is due; it spends a retry only if `counted`, that is, if the receiver may have seen this one."""

    error: str
    counted: bool
    retry_after: timedelta | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt makes sense. `pause_destination`: the receiver says that it is gone for good (410)."""

    reason: str
    status: int | None = None
    excerpt: str = ""
    pause_destination: bool = False


@dataclass(frozen=True, slots=True)
class ReceiverAhead:
    """The receiver has seen a newer epoch (412). Whether that is true, only PostgreSQL knows."""

    status: int
    excerpt: str


Outcome = Delivered | Retry | Dead | ReceiverAhead


@dataclass(frozen=True, slots=True)
class Held:
    """No attempt was made, and nothing is spent: the destination takes none now, or operators have stopped what no
    person approves; again in `seconds`.
    """

    why: Literal["breaker_open", "busy", "rate_limited", "retry_after", "retry_budget", "stopped"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of a receiver; `body` are its raw bytes, at most the first 64 kB, never decoded."""

    status: int
    retry_after: str | None
    body: bytes


def classify(answer: Answer, on_conflict: Literal["retry", "delivered"], excerpt: str, now: datetime) -> Outcome:
    """The outcome that an answer stands for; `excerpt` is what may be kept of its body, `now` dates a Retry-After."""
    status = answer.status
    match status:
        case _ if 200 <= status < 300:
            return Delivered(status, _is_running(answer.body), excerpt)
        case 409 if on_conflict == "delivered":
            return Delivered(status, running=False, excerpt=excerpt)
        case 412:
            return ReceiverAhead(status, excerpt)
        case 400 | 410 | 413 | 422:
            return Dead(f"http_{status}", status, excerpt, pause_destination=status == 410)
        case 429 | 503 if answer.retry_after is not None:
            return Retry(_error(status, excerpt), True, retry_after(answer.retry_after, now), status)
        case _:
            return Retry(_error(status, excerpt), True, None, status)


def _error(status: int, excerpt: str) -> str:
    return f"http_{status}: {excerpt}" if excerpt else f"http_{status}"


def _is_running(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("status") == "running"
