"""Where the threads are: for SIGUSR1, and for the log when one is stuck."""

import sys
import threading
import traceback

STACK_LIMIT = 1800
"""Characters of a stack that go into one line of the log: its innermost part."""


def dump_stacks() -> str:
    """The stack of every thread of this process, each under its name, which for an actor is its child id."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, 'unknown')} (thread {ident}):\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sorted(sys._current_frames().items(), key=lambda entry: names.get(entry[0], ""))
    )


def stack_of(thread: threading.Thread | None) -> str:
    """The innermost part of one thread's stack; empty if it does not run."""
    if thread is None or thread.ident is None or not thread.is_alive():  # the ident of one that ended is given again
        return ""
    frame = sys._current_frames().get(thread.ident)
    return "".join(traceback.format_stack(frame))[-STACK_LIMIT:] if frame is not None else ""


def trace_of(error: BaseException) -> str:
    """The innermost part of the traceback, with the error."""
    return "".join(traceback.format_exception(error))[-STACK_LIMIT:]
