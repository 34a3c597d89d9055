"""Supervision in the words of OTP: child specs, strategies and restart intensity as values, and the base actor."""

from m10actors.supervision.actor import Actor
from m10actors.supervision.backoff import Backoff
from m10actors.supervision.check import check
from m10actors.supervision.errors import (
    AskFailed,
    Exit,
    GaveUp,
    InvalidSpec,
    NoReply,
    NotRunning,
    StartFailed,
    SupervisionFailure,
    TooManyAbandoned,
)
from m10actors.supervision.exits import Crashed, ExitReason, Killed, Normal, NotStarted, Shutdown
from m10actors.supervision.leaks import Leaked
from m10actors.supervision.link import Link
from m10actors.supervision.snapshot import Budget, ChildState, Phase
from m10actors.supervision.spec import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    ChildType,
    Restart,
    Strategy,
    SupervisorSpec,
)
from m10actors.supervision.stacks import dump_stacks

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "Actor",
    "AskFailed",
    "AutoShutdown",
    "Backoff",
    "Budget",
    "ChildSpec",
    "ChildState",
    "ChildType",
    "Crashed",
    "Exit",
    "ExitReason",
    "GaveUp",
    "InvalidSpec",
    "Killed",
    "Leaked",
    "Link",
    "NoReply",
    "Normal",
    "NotRunning",
    "NotStarted",
    "Phase",
    "Restart",
    "Shutdown",
    "StartFailed",
    "Strategy",
    "SupervisionFailure",
    "SupervisorSpec",
    "TooManyAbandoned",
    "check",
    "dump_stacks",
]
