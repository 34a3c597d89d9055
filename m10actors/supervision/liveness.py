"""Alive means making progress: when a child counts as stuck."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is seen of a child from outside; times on the monotonic clock, None where it does not apply.

    busy_since: when it took the message that it is handling. progress_at: when it last finished one or said what it is
    doing. ending_since: when it began to end. thread_alive: whether its thread runs.
    """

    busy_since: float | None
    progress_at: float
    ending_since: float | None
    thread_alive: bool


def stuck(vitals: Vitals, now: float, stall_after: float | None, shutdown: float) -> str | None:
    """Why the child must be replaced, or None. One that waits for messages is never stuck."""
    if not vitals.thread_alive:
        return "its thread died without a word"
    if vitals.ending_since is not None:
        ending = now - vitals.ending_since
        return f"ending for {ending:.1f} s" if ending > shutdown else None
    if vitals.busy_since is None or stall_after is None:
        return None
    silent = now - max(vitals.busy_since, vitals.progress_at)
    return f"no progress for {silent:.1f} s in one message" if silent > stall_after else None
