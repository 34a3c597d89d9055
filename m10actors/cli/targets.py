"""Where failures go. A target stores each key once, so that sending a batch again is always right."""

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    stop_never,
    wait_random_exponential,
)

from m10actors import logs
from m10actors.cli.errors import Unreachable
from m10actors.client.results import Outcome
from m10actors.lines import Reported

log = logs.logger(__name__)


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


class Ending(Protocol):
    """Whether the end was asked for, which waiting must not delay; `process.Life` is one."""

    @property
    def is_ending(self) -> bool: ...

    def wait(self, seconds: float) -> bool: ...


def send(
    target: Target, batch: Sequence[Reported], patience: timedelta | None, ending: Ending | None = None
) -> Sequence[Outcome]:
    """Sends a batch, again and again while the target asks for it; TryLater once `patience` has ended (None: never) or
    the end was asked for.
    """
    too_late = stop_never if patience is None else stop_before_delay(patience)
    attempts = Retrying(
        retry=retry_if_exception_type(TryLater),
        wait=_pause,
        stop=lambda state: too_late(state) or (ending is not None and ending.is_ending),
        sleep=time.sleep if ending is None else partial(_wait, ending),
        before_sleep=_say_once,
        reraise=True,
    )
    outcomes = attempts(target.send, batch)
    if (tries := attempts.statistics["attempt_number"]) > 1:
        log.warning("target_back", attempts=tries, seconds=round(attempts.statistics["delay_since_first_attempt"], 1))
    return outcomes


_backoff = wait_random_exponential(multiplier=0.2, max=5)


def _wait(ending: Ending, seconds: float) -> None:
    ending.wait(seconds)


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
