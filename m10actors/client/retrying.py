"""Sending what the steps of a call yield, each batch again for as long as the caller has patience."""

from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from m10actors.client.errors import ClientError, Unavailable
from m10actors.client.items import Steps
from m10actors.client.results import Outcome
from m10actors.client.transport import AsyncTransport, Transport

_backoff = wait_random_exponential(multiplier=0.2, max=5)


def perform(steps: Steps, transport: Transport, patience: float) -> list[Outcome]:
    """What the steps return. ClientError as they let it through, Unavailable only after `patience` seconds."""
    try:
        lines = next(steps)
        while True:
            try:
                outcomes: list[Outcome] = Retrying(**_policy(patience))(transport.send, lines)
            except ClientError as error:
                lines = steps.throw(error)
            else:
                lines = steps.send(outcomes)
    except StopIteration as end:
        return list(end.value)


async def perform_async(steps: Steps, transport: AsyncTransport, patience: float) -> list[Outcome]:
    """As `perform`."""
    try:
        lines = next(steps)
        while True:
            try:
                outcomes: list[Outcome] = await AsyncRetrying(**_policy(patience))(transport.send, lines)
            except ClientError as error:
                lines = steps.throw(error)
            else:
                lines = steps.send(outcomes)
    except StopIteration as end:
        return list(end.value)


def _policy(patience: float) -> dict[str, Any]:
    return {
        "retry": retry_if_exception_type(Unavailable),
        "wait": _pause,
        "stop": stop_before_delay(patience),
        "reraise": True,
    }


def _pause(state: RetryCallState) -> float:
    """The backoff, or longer where the server says so."""
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), error.retry_after if isinstance(error, Unavailable) else 0.0)
