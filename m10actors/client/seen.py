"""An exception or a log record → a failure within every limit of the API, so that none is refused for its size.

Made from memory alone: a traceback has no source lines, since to read them could wait for a disk.
"""

import os
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from logging import LogRecord
from types import TracebackType
from typing import Final

from m10actors.client.plain import clean, plain, text_of
from m10actors.loglines.error_type import error_type
from m10actors.recovery.failure import MAX_CODE_LENGTH, MAX_SOURCE_LENGTH

MAX_MESSAGE: Final = 8_000
MAX_TRACEBACK: Final = 16_000
"""Characters; each may take six bytes of JSON."""
_FIRST_FRAMES: Final = 10
_LAST_FRAMES: Final = 40
_MOST_FRAMES: Final = 10_000
"""How many are looked at: a recursion may be deeper than there is time for."""
_MOST_LINKED: Final = 5
_SEARCHED: Final = 2_000
"""Characters of a message in which its kind is looked for."""
_HOST: Final = socket.gethostname()


def of_exception(error: BaseException, meta: Mapping[str, object]) -> dict[str, object]:
    """The payload of an exception: its class, its text, its traceback with those of its causes."""
    kind = type(error)
    return {
        "error_type": _kind(kind.__name__),
        "raw": text_of(error, MAX_MESSAGE),
        "meta": _circumstances()
        | {"module": text_of(kind.__module__, MAX_CODE_LENGTH), "traceback": traceback(error)}
        | plain(meta),
    }


def of_record(record: LogRecord) -> dict[str, object]:
    """The payload of a log record: that of its exception, where it has one; else the kind is read from its words."""
    message = _message(record)
    line = {"logger": record.name, "level": record.levelname, "line": f"{record.pathname}:{record.lineno}"}
    if record.exc_info and record.exc_info[1] is not None:
        return of_exception(record.exc_info[1], line | {"log_message": message})
    kind = error_type(None, message[:_SEARCHED])
    return {"error_type": kind, "raw": message, "meta": _circumstances() | plain(line)}


def source(name: str) -> str:
    """`name` as a source: up to so many characters, none of them NUL."""
    return clean(name)[:MAX_SOURCE_LENGTH].strip() or "python"


def traceback(error: BaseException) -> str:
    """As Python prints it, without source lines; of a long one the beginning and the end."""
    parts = [f"{_stack(linked.__traceback__)}{_named(linked)}\n{words}" for linked, words in _linked(error)]
    text = clean("".join(reversed(parts)))
    return text if len(text) <= MAX_TRACEBACK else f"{text[: MAX_TRACEBACK // 2]}\n…\n{text[-MAX_TRACEBACK // 2 :]}"


def _linked(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and those behind it, newest first, each with the words that lead to the newer one."""
    words = ""
    met: set[int] = set()
    for _ in range(_MOST_LINKED):
        met.add(id(error))
        yield error, words
        if error.__cause__ is not None:
            error, words = error.__cause__, "\nThe above exception was the direct cause of the following exception:\n\n"
        elif error.__context__ is not None and not error.__suppress_context__:
            error = error.__context__
            words = "\nDuring handling of the above exception, another exception occurred:\n\n"
        else:
            return
        if id(error) in met:
            return


def _named(error: BaseException) -> str:
    text = f"{type(error).__name__}: {text_of(error, MAX_MESSAGE // 2)}"
    if isinstance(error, BaseExceptionGroup):
        inner = error.exceptions[:_MOST_LINKED]
        text += "".join(f"\n  | {type(one).__name__}: {text_of(one, MAX_MESSAGE // 8)}" for one in inner)
    return text


def _stack(trace: TracebackType | None) -> str:
    if trace is None:
        return ""
    first: list[str] = []
    last: deque[str] = deque(maxlen=_LAST_FRAMES)
    count = 0
    while trace is not None and count < _MOST_FRAMES:
        code = trace.tb_frame.f_code
        (first if count < _FIRST_FRAMES else last).append(
            f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_qualname}\n'
        )
        trace = trace.tb_next
        count += 1
    left_out = count - len(first) - len(last)
    between = [f"  … {left_out} frames left out\n"] if left_out else []
    below = ["  … and deeper\n"] if trace is not None else []
    return "".join(["Traceback (most recent call last):\n", *first, *between, *last, *below])


def _message(record: LogRecord) -> str:
    try:
        return text_of(record.getMessage(), MAX_MESSAGE)
    except Exception:  # noqa: BLE001 (arguments that do not fit, or that raise when they are formatted)
        return text_of(record.msg, MAX_MESSAGE)


def _kind(name: str) -> str:
    return clean(name)[:MAX_CODE_LENGTH].strip() or "UNKNOWN"


def _circumstances() -> dict[str, object]:
    return {
        "captured_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "host": _HOST,
        "pid": os.getpid(),
        "thread": clean(threading.current_thread().name)[:200],
    }
