"""A line that is a JSON object, as structured loggers write it."""

import re
from collections.abc import Iterable, Mapping

from m10actors.loglines.record import Record
from m10actors.recovery.decoding import decode
from m10actors.recovery.problems import InvalidFailure

_LEVELS = ("level", "severity", "lvl", "levelname", "log.level", "loglevel", "log_level", "@level", "severityText")
_MESSAGES = ("msg", "message", "@message", "event", "text", "body", "log")
_LOGGERS = ("logger", "logger_name", "name", "component", "caller")
_TIMES = ("time", "ts", "timestamp", "@timestamp", "asctime", "@t")
_ERRORS = ("error", "err", "exception", "exc_info")
_STACKS = ("stacktrace", "stack_trace", "stack", "traceback", "error.stack_trace", "exc_text")
_NUMBERS = ((60, "FATAL"), (50, "ERROR"), (40, "WARN"), (30, "INFO"), (0, "DEBUG"))  # bunyan's and pino's
_LEVEL_WORD = re.compile(r"[A-Za-z]\w{0,31}")


def json_record(text: str) -> Record | None:
    """What the object says; None if `text` is none that can be read, or has neither a level nor a message."""
    try:
        fields = decode(text.encode(), unique_keys=False)
    except InvalidFailure:
        return None
    if not isinstance(fields, dict):
        return None
    level, message = _level(_first(fields, _LEVELS)), _text(_first(fields, _MESSAGES))
    if level is None and not message:
        return None
    error, stack = _error(_first(fields, _ERRORS))
    return Record(
        message=": ".join(part for part in (message, error) if part) or text,
        level=level,
        logger=_text(_first(fields, _LOGGERS)) or None,
        time=_text(_first(fields, _TIMES)) or None,
        details="\n".join(part for part in (stack, _text(_first(fields, _STACKS))) if part),
    )


def _first(fields: Mapping[str, object], names: Iterable[str]) -> object:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _level(value: object) -> str | None:
    match value:
        case str() if _LEVEL_WORD.fullmatch(value):
            return value.upper()
        case int() if not isinstance(value, bool):
            return next((word for least, word in _NUMBERS if value >= least), None)
        case _:
            return None


def _error(value: object) -> tuple[str, str]:
    """The words and the stack of an error, which is a text or an object with a class and a message."""
    if not isinstance(value, dict):
        first, _, rest = _text(value).partition("\n")
        return first, rest
    name, message = _text(_first(value, ("type", "name", "class", "kind"))), _text(value.get("message"))
    return ": ".join(part for part in (name, message) if part), _text(_first(value, _STACKS))


def _text(value: object) -> str:
    """A text or a number as text; of anything else nothing."""
    match value:
        case str():
            return value
        case int() | float():
            return str(value)
        case _:
            return ""
