"""What a call of the client can end with, one class per decision of its caller."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m10actors.client.results import Outcome, Problem


class ClientError(Exception):
    """The failures were not all stored, or nobody knows.

    `outcomes` are those of the failures that were settled before, in order; `unsent` are the others, each with its
    idempotency key inside: given to `ingest_many` once more, they complete the call, and nothing is counted twice.
    """

    outcomes: "tuple[Outcome, ...]" = ()
    unsent: tuple[Any, ...] = ()


class Refused(ClientError):
    """The input is no failure that can be stored; `problems` says everything that is wrong with it."""

    def __init__(self, message: str, problems: "tuple[Problem, ...]") -> None:
        super().__init__("; ".join(map(str, problems)) or message)
        self.problems = problems


class NotPermitted(ClientError):
    """The token, or the role in the database, lacks the right to report failures."""


class WrongAddress(ClientError):
    """Something else than m10 is at the address."""


class Unavailable(ClientError):
    """Weather: asking again later is right; `retry_after` are the seconds that the server asked for, or 0.

    What was sent may be stored all the same.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
