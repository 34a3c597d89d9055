"""Why a child ended: the exit reasons, a closed set."""

import traceback
from dataclasses import dataclass
from typing import Self, assert_never

MESSAGE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Normal:
    """It ended by itself, its work done."""

    def __str__(self) -> str:
        return "normal"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Its supervisor asked it to end."""

    def __str__(self) -> str:
        return "shutdown"


@dataclass(frozen=True, slots=True)
class Crashed:
    """An exception left one of its hooks; `error` is the name of its class."""

    error: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Keeps neither the exception nor its frames alive, and survives a failing `__str__`."""
        _, _, message = "".join(traceback.format_exception_only(error)).strip().partition(": ")
        return cls(type(error).__qualname__, message[:MESSAGE_LIMIT])

    def __str__(self) -> str:
        return f"{self.error}: {self.message}" if self.message else self.error


@dataclass(frozen=True, slots=True)
class Killed:
    """Its supervisor took it out: it did not begin, make progress or end in the time it had."""

    why: str

    def __str__(self) -> str:
        return f"killed: {self.why}"


@dataclass(frozen=True, slots=True)
class NotStarted:
    """A supervisor that could not start: `child_id`, somewhere below it, failed with `reason`."""

    child_id: str
    reason: "ExitReason"

    def __str__(self) -> str:
        return f"{self.child_id} did not start: {self.reason}"


ExitReason = Normal | Shutdown | Crashed | Killed | NotStarted


def is_abnormal(reason: ExitReason) -> bool:
    """Whether a transient child is restarted after it."""
    match reason:
        case Normal() | Shutdown():
            return False
        case Crashed() | Killed() | NotStarted():
            return True
        case _:
            assert_never(reason)


def cause(reason: ExitReason) -> str:
    """The kind of an exit in one word, of which there are few: for metrics and for those who group by it."""
    match reason:
        case Normal():
            return "normal"
        case Shutdown():
            return "shutdown"
        case Crashed():
            return "crash"
        case Killed():
            return "hung"
        case NotStarted():
            return "not_started"
        case _:
            assert_never(reason)
