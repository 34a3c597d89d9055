"""Stack traces: which lines belong to the record before them, and which exception they tell of.

The exception that names the failure is the one that was raised to the outside: of Java (and .NET, JavaScript) the
first class of the header, of Python the last line of the traceback. Its cause is kept beside it: the last `Caused by`
of Java, the first exception of a chained Python traceback.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

_CLASS: Final = r"(?:[A-Za-z_]\w*[.$])*[A-Za-z_]\w*"
_UNCAUGHT: Final = re.compile(
    r"Traceback \(most recent call last\):|Exception in thread |Unhandled exception\. |panic: "
)
_BELONGS: Final = re.compile(
    r"\s|$|Caused by: |Suppressed: |at \S+.*\(|\.{3} \d+ (?:more|common frames omitted)|goroutine \d+ \["
    r"|During handling of the above exception|The above exception was the direct cause"
)
_HEADER: Final = re.compile(
    r"(?:Exception in thread \"[^\"]*\" |Unhandled exception\. |Uncaught )?"
    r"(?P<name>(?:[A-Za-z_]\w*[.$])*[A-Z]\w*(?:Exception|Error|Throwable))(?::(?:\s|$)|\s*$)"
)
_CAUSED_BY: Final = re.compile(rf"\s*Caused by: (?P<name>{_CLASS})")
_PYTHON_END: Final = re.compile(rf"(?P<name>{_CLASS})(?::\s|:?$)")
_IN_TEXT: Final = re.compile(r"(?<![\w.$])((?:[A-Za-z_]\w*[.$])*[A-Z]\w*?(?:Exception|Error))(?!\w|\.\w|\()")
_PYTHON_BEGIN: Final = "Traceback (most recent call last):"


@dataclass(frozen=True, slots=True)
class Raised:
    """The class of an exception, with its package, the line that names it, and the class of what caused it."""

    name: str
    line: str
    cause: str | None = None


class Trace:
    """Follows the lines of a record; knows whether a Python traceback is waiting for its last line."""

    def __init__(self) -> None:
        self._in_python = False

    def begin(self, text: str) -> None:
        """A new record begins with this line."""
        self._in_python = text.endswith(_PYTHON_BEGIN)

    def takes(self, text: str) -> bool:
        """Whether `text`, which is no header of a record, belongs to the record before it."""
        if text.startswith(_PYTHON_BEGIN):
            self._in_python = True
            return True
        if _BELONGS.match(text) or _HEADER.match(text):
            self._in_python = self._in_python and text[:1].isspace()
            return True
        ends, self._in_python = self._in_python and bool(_PYTHON_END.match(text)), False
        return ends or bool(_UNCAUGHT.match(text))


def is_uncaught(text: str) -> bool:
    """Whether the line begins a report that a runtime printed by itself, whatever was logged before."""
    return bool(_UNCAUGHT.match(text))


def is_raised(text: str) -> bool:
    """Whether the line begins with the class of an exception, as a stack trace does."""
    return bool(_UNCAUGHT.match(text) or _HEADER.match(text))


def raised(message: str, lines: Iterable[str]) -> Raised | None:
    """The exception that a record tells of: in the lines that belong to it, else in its message."""
    java: list[Raised] = []
    python: list[Raised] = []
    causes: list[Raised] = []
    in_python = message.rstrip().endswith(_PYTHON_BEGIN)
    if header := _HEADER.match(message):
        java.append(Raised(header["name"], message))
    for line in lines:
        if line.startswith(_PYTHON_BEGIN):
            in_python = True
        elif cause := _CAUSED_BY.match(line):
            causes.append(Raised(cause["name"], line))
        elif in_python and (end := _PYTHON_END.match(line)):
            python.append(Raised(end["name"], line))
            in_python = False
        elif header := _HEADER.match(line):
            java.append(Raised(header["name"], line))
    if python:
        return replace(python[-1], cause=python[0].name if len(python) > 1 else None)
    in_text = [Raised(name, message) for name in _IN_TEXT.findall(message)]
    named = java or in_text or causes
    return replace(named[0], cause=causes[-1].name if causes else None) if named else None
