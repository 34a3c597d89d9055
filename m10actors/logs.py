"""Log lines: one per event, with a stable name and key=value; text on a terminal, JSON elsewhere.

Whatever a value holds, it stays on its line: control characters are escaped and long values capped. What looks like
a password, and every value of a secret type, is printed as ***. Lines of other libraries pass the same formatter.
"""

import json
import logging
import math
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Literal, TextIO

MAX_VALUE = 2_000
"""Characters of a value that are kept."""
_MAX_TRACEBACK = 20_000
_RESERVED = frozenset({"time", "level", "event", "child", "logger"})
_PLAIN = re.compile(r"[^\s\"'=]+")
_SECRETS = (
    (re.compile(r"(//[^\s/:@?#]{0,256}):\S{0,1024}@"), r"\1:***@"),
    (
        re.compile(
            r"(?i)\b(\w{0,40}(?:password|passwd|secret|token|api_?key)\w{0,40} *[=:] *)(?:'[^']*'|\"[^\"]*\"|[^\s&,;]+)"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)\b(bearer|authorization: *\w+)\s+\S+"), r"\1 ***"),
    (re.compile(r"\bwhsec_[\w+/=-]+"), "whsec_***"),
    (re.compile(r"(Key \([^)]{0,1024}\))=\(.*\)"), r"\1=(***)"),
)


class Logger:
    """Writes events under one name: `log.info("outbox_delivered", event_id=7)`."""

    __slots__ = ("_log",)

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._log.isEnabledFor(level):
            self._log.log(level, event, extra={"fields": fields})


def logger(name: str) -> Logger:
    """The logger of a module: `log = logs.logger(__name__)`."""
    return Logger(logging.getLogger(name))


def setup(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["auto", "text", "json"] = "auto",  # noqa: A002
    stream: TextIO | None = None,
) -> None:
    """Sends all log lines to `stream` (standard error); called again, it replaces what it set up before.

    `level` holds for this package; other libraries are heard from warning on.
    """
    stream = stream or sys.stderr
    text = format == "text" or (format == "auto" and stream.isatty())
    handler = _Handler(stream)
    handler.setFormatter(_TextFormatter() if text else _JsonFormatter())
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(__package__).setLevel(level.upper())


def escape(text: str) -> str:
    """`text` with everything that does not print (line breaks, ANSI, bidi marks, lone surrogates) as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def redact(text: str) -> str:
    """`text` without what looks like a secret: in an address, after `password=`, in a DETAIL of PostgreSQL."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A line that cannot be made is replaced by one that says so; a closed stream stays silent."""
        error = sys.exception()
        try:
            self.stream.write(f"log_failed event={escape(str(record.msg))[:200]} error={type(error).__name__}\n")
            self.flush()
        except (OSError, ValueError):
            return


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_line(record)).replace("\x7f", "\\u007f")


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        head = f"{line.pop('time')} {line.pop('level'):<7} {_text(line.pop('event'))}"
        return " ".join([head, *(f"{_text(key)}={_text(value)}" for key, value in line.items())])


def _line(record: logging.LogRecord) -> dict[str, object]:
    event, fields = _event(record)
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": _safe(event),
        "child": record.threadName,
        "logger": record.name,
    }
    debug = logging.getLogger(__package__).isEnabledFor(logging.DEBUG)
    for key, value in fields.items():
        line[f"{key}_" if key in _RESERVED else key] = _value(value)
        if debug and isinstance(value, BaseException):
            line["traceback"] = _safe("".join(traceback.format_exception(value)), _MAX_TRACEBACK)
    return line


def _event(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """Name and fields; what another library says has no name of ours, so its text is a field."""
    fields = getattr(record, "fields", None)
    if isinstance(fields, dict):
        return record.getMessage(), fields
    error = record.exc_info[1] if record.exc_info else None
    return "library", {"message": record.getMessage()} | ({"error": error} if error else {})


def _value(value: object) -> bool | int | float | str | None:
    match value:
        case None | bool():
            return value
        case int():
            return value if -(1 << 63) <= value < 1 << 63 else _safe(hex(value))
        case float():
            return value if math.isfinite(value) else str(value)
        case BaseException():
            text = str(value)
            return _safe(f"{type(value).__name__}: {text}" if text else type(value).__name__)
        case _:
            return _safe(str(value))


def _safe(text: str, limit: int = MAX_VALUE) -> str:
    """Redacted and capped. What lies far past the cap is not even searched, so that no text is slow to write."""
    kept = redact(text[: 2 * limit])[:limit]
    return kept if len(text) <= limit else f"{kept}…(+{len(text) - limit})"


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case str() if not (_PLAIN.fullmatch(value) and value.isprintable()):
            return '"' + escape(value.replace("\\", "\\\\").replace('"', '\\"')) + '"'
        case _:
            return str(value)
