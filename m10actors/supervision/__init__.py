"""Supervision in the words of OTP: child specs, strategies and restart intensity as values, and the base actor."""

from m10actors.supervision.actor import Actor
from m10actors.supervision.backoff import Backoff
from m10actors.supervision.errors import (
    AskFailed,
    GaveUp,
    InvalidSpec,
    NoReply,
    NotRunning,
    StartFailed,
    SupervisionFailure,
)
from m10actors.supervision.exits import Crashed, ExitReason, Killed, Normal, NotStarted, Shutdown
from m10actors.supervision.link import Link
from m10actors.supervision.snapshot import ChildState, Phase
from m10actors.supervision.spec import ChildSpec, ChildType, Restart, Strategy, SupervisorSpec, check
from m10actors.supervision.stacks import dump_stacks

__all__ = [
    "Actor",
    "AskFailed",
    "Backoff",
    "ChildSpec",
    "ChildState",
    "ChildType",
    "Crashed",
    "ExitReason",
    "GaveUp",
    "InvalidSpec",
    "Killed",
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
    "check",
    "dump_stacks",
]
