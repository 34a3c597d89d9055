"""The Python client: report failures, and capture exceptions without ever being in the way of the program."""

from m10actors.client.asynchronous import AsyncRecoveryClient
from m10actors.client.blocking import RecoveryClient
from m10actors.client.errors import ClientError, NotPermitted, Refused, Unavailable, WrongAddress
from m10actors.client.handler import RecoveryHandler
from m10actors.client.results import Outcome, Problem, Rejected, Stats, Stored

__all__ = [
    "AsyncRecoveryClient",
    "ClientError",
    "NotPermitted",
    "Outcome",
    "Problem",
    "RecoveryClient",
    "RecoveryHandler",
    "Refused",
    "Rejected",
    "Stats",
    "Stored",
    "Unavailable",
    "WrongAddress",
]
