"""Which lines belong to the record before them, as those of a stack trace do."""

import re
from enum import Enum, auto
from typing import Final

from m10actors.loglines.heads import (
    JAVA_HEAD,
    PHP_FATAL,
    PHP_NEXT,
    PYTHON_BEGIN,
    PYTHON_END,
    RUBY_HEAD,
    RUBY_THREAD,
    RUST_AWAITING,
    is_uncaught,
)

_BELONGS: Final = re.compile(
    r"\s|$|Caused by:(?:\s|$)|Suppressed: |at \S+.*\(|\.{3} \d+ (?:more|common frames omitted)"
    r"|goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[|runtime stack:$|\[signal |\[originating from goroutine \d+\]:$"
    r"|\.{3}(?:additional|\d+) frames elided\.{3}$"
    r"|(?:[\w./%~-]{1,400}\.\S{1,400}|panic)\([\w?, {}.]*\)$|created by [\w./%~-]{1,400}\.\S+(?: in goroutine \d+)?$"
    r"|\S{1,4096}:\d{1,9}:in ['`][^']{1,400}'$|Did you mean\?"
    r"|[Ss]tack (?:backtrace|trace):$|note: (?:run with `RUST_BACKTRACE=|Some details are omitted, )"
)
_PYTHON_LINK: Final = re.compile(r"During handling of the above exception|The above exception was the direct cause")
_FRAME: Final = re.compile(
    r"#\d{1,9} (?:\{main\}$|\[internal function\]: |.{1,4096}?\(\d{1,9}\): )"
    r"|\s{1,9}\d{1,9}: {1,9}(?:0x[\da-f]{1,16} - )?[<\w]\S{0,4096}?::"
)
"""Of PHP and Rust, which may be taken for numbered lines with a level: `Shop\\Error::new`, `std::panic::unwind`."""

_PHP_LOGGED: Final = re.compile(r"(?:\[[^\]]{1,80}\] )?PHP (?P<kind>[A-Z][\w ]{3,30}):  ?(?P<said>.*)")
_PLACE: Final = re.compile(r":\d{1,9}$")
_MOST_PHP_LINES: Final = 20


class Part(Enum):
    """What a line is to the record before it."""

    NONE = auto()
    REST = auto()
    """It belongs to it."""
    REPORT = auto()
    """It begins what a runtime reports by itself."""


class Trace:
    """Follows the lines of a record.

    Knows whether a traceback of Python waits for its last line, for how many lines a message of Rust or PHP may go on,
    which can be any text, and where the first exception of Ruby was raised: one of another place is its cause.
    """

    def __init__(self) -> None:
        self.begin("")

    def begin(self, text: str) -> None:
        """A new record begins with this line."""
        self._in_python, self._is_linked = text.endswith(PYTHON_BEGIN), False
        ruby = RUBY_HEAD.match(text)
        self._ruby_place = ruby["place"] if ruby else "" if RUBY_THREAD.match(text) else None
        self._in_php = bool(PHP_FATAL.match(text))
        self._message_lines = _php_lines(text) if self._in_php else int(bool(RUST_AWAITING.search(text)))
        logged = _PHP_LOGGED.match(text)
        self._shown = f"{logged['kind']}: {logged['said']}" if logged else None

    def claims(self, text: str) -> bool:
        """Whether `text` belongs to the record even if it looks like one without a time.

        So do a message, a frame, and what PHP logged once it shows it as well.
        """
        return self._message_lines > 0 or text == self._shown or bool(_FRAME.match(text))

    def part(self, text: str) -> Part:
        """What `text`, which is no header of a record, is to the record before it."""
        if self._message_lines:
            self._message_lines = 0 if _ends_message(text) else self._message_lines - 1
            return Part.REST
        if text == self._shown:
            self._message_lines = _php_lines(text) if self._in_php else 0
            return Part.REST
        if is_uncaught(text):
            return self._report(text)
        if self._in_php and PHP_NEXT.match(text):
            self._message_lines = _php_lines(text)
            return Part.REST
        if _PYTHON_LINK.match(text):
            self._in_python, self._is_linked = False, True
            return Part.REST
        if _BELONGS.match(text) or JAVA_HEAD.match(text) or _FRAME.match(text):
            self._in_python = self._in_python and text[:1].isspace()
            return Part.REST
        ends, self._in_python = self._in_python and bool(PYTHON_END.match(text)), False
        return Part.REST if ends else Part.NONE

    def _report(self, text: str) -> Part:
        """A report that begins, or goes on: with the next exception of a chain."""
        ruby = RUBY_HEAD.match(text)
        is_cause = ruby is not None and self._ruby_place not in {None, ruby["place"]}
        if self._is_linked or is_cause or (ruby and self._in_python):
            self._in_python, self._is_linked = text.startswith(PYTHON_BEGIN), False
            return Part.REST
        self.begin(text)
        return Part.REPORT


def _php_lines(head: str) -> int:
    """For how many lines the message of an exception may go on after the line that names it."""
    return 0 if _ends_message(head) else _MOST_PHP_LINES


def _ends_message(text: str) -> bool:
    """Whether the line has the place with which PHP ends a message, or is the one after it."""
    return (" in " in text and bool(_PLACE.search(text[-10:]))) or text == "Stack trace:"
