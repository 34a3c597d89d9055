"""Where failures go. A target stores each key once, so that sending a batch again is always right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from m10actors import logs
from m10actors.cli.errors import Unreachable
from m10actors.lines import Reported

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """The failure is stored; `counted` unless its key had been seen, `opened` if it opened a candidate."""

    counted: bool
    opened: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The failure is not stored; the problems have code, field and message."""

    problems: tuple[Mapping[str, str], ...]


Outcome: TypeAlias = Stored | Refused


class TryLater(Unreachable):
    """The target cannot take the batch now; what was sent may or may not be stored."""

    def __init__(self, message: str, after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Target(Protocol):
    """`name` is an address without secrets."""

    name: str

    def send(self, batch: Sequence[Reported]) -> Sequence[Outcome]:
        """An outcome for each failure, in order. TryLater if the batch should be sent again."""

    def close(self) -> None: ...


def send(target: Target, batch: Sequence[Reported], patience: timedelta) -> Sequence[Outcome]:
    """Sends a batch, again and again while the target asks for it; TryLater once `patience` has ended."""
    attempts = Retrying(
        retry=retry_if_exception_type(TryLater),
        wait=_pause,
        stop=stop_before_delay(patience),
        before_sleep=_say_once,
        reraise=True,
    )
    outcomes = attempts(target.send, batch)
    if (tries := attempts.statistics["attempt_number"]) > 1:
        log.warning("target_back", attempts=tries, seconds=round(attempts.statistics["delay_since_first_attempt"], 1))
    return outcomes


_backoff = wait_random_exponential(multiplier=0.2, max=5)


def _pause(state: RetryCallState) -> float:
    """The backoff, or longer where the target says so."""
    return max(_backoff(state), _failure(state).after_seconds)


def _say_once(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        log.warning("target_unavailable", cause=str(_failure(state)), consequence="sent again with the same keys")


def _failure(state: RetryCallState) -> TryLater:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TryLater), "nothing else is retried"
    return error
