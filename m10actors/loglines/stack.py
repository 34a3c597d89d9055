"""Which exception the lines of a failure tell of.

The one that names the failure is the one that was raised to the outside: of Java (and .NET, JavaScript, Ruby) the first
class of the header, of Python the last line of the traceback, of PHP the last `Next`. Its cause is kept beside it: the
last `Caused by` of Java, the last header of Ruby, the first exception of a chain of Python or PHP.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from m10actors.loglines.heads import (
    CLASS,
    JAVA_HEAD,
    PHP_HEAD,
    PHP_NEXT,
    PYTHON_BEGIN,
    PYTHON_END,
    RUBY_HEAD,
    RUST_AWAITING,
    RUST_QUOTED,
)

_CAUSED_BY: Final = re.compile(rf"\s*Caused by: (?P<name>{CLASS})")
_IN_TEXT: Final = re.compile(r"(?<![\w.$])((?:[A-Za-z_]\w*[.$])*[A-Z]\w*?(?:Exception|Error))(?!\w|\.\w|\()")


@dataclass(frozen=True, slots=True)
class Raised:
    """The class of an exception, with its package, the line that says what happened, and the class of what caused it.

    A panic of Rust may name no class.
    """

    name: str | None
    line: str
    cause: str | None = None


def raised(message: str, lines: Sequence[str]) -> Raised | None:
    """The exception that a record tells of: in the lines that belong to it, else in its message."""
    headers: list[Raised] = []
    chain: list[Raised] = []
    causes: list[Raised] = []
    in_python = False
    for line in (message, *lines):
        if line.rstrip().endswith(PYTHON_BEGIN):
            in_python = True
        elif cause := _CAUSED_BY.match(line):
            causes.append(Raised(cause["name"], line))
        elif in_python and (end := PYTHON_END.match(line)):
            chain.append(Raised(end["name"], line))
            in_python = False
        elif php := PHP_HEAD.match(line) or (PHP_NEXT.match(line) if chain else None):
            chain.append(Raised(php["name"], php["line"]))
        elif ruby := RUBY_HEAD.match(line):
            (causes if headers and line != headers[0].line else headers).append(Raised(ruby["name"], line))
        elif header := JAVA_HEAD.match(line):
            headers.append(Raised(header["name"], line))
    if chain:
        return replace(chain[-1], cause=chain[0].name if chain[0] != chain[-1] else None)
    panic = _panic(message, lines)
    in_text = [Raised(name, panic or message) for name in _IN_TEXT.findall(panic or message)]
    if named := headers or in_text or causes:
        return replace(named[0], cause=causes[-1].name if causes else None)
    return Raised(None, panic) if panic else None


def _panic(message: str, lines: Sequence[str]) -> str | None:
    """The words of a panic of Rust that `message` begins."""
    if quoted := RUST_QUOTED.match(message):
        return quoted["text"] or None
    return (lines[0].strip() or None) if lines and RUST_AWAITING.match(message) else None
