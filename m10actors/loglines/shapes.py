"""The built-in recogniser: what a line of a common log format says.

Tried in this order: a JSON object (zap, bunyan, pino, python-json-logger), a syslog line (RFC 3164 and 5424), a shape
with a letter or sign for its level (Android, glog, Redis), an HTTP access log, a line of PHP's error log, and then any
line whose header has a level in it (log4j, logback, Python, Apache and nginx errors, PostgreSQL, BGL, Windows CBS,
logfmt).
"""

import re
from collections.abc import Iterable
from typing import Final

from m10actors.loglines.heads import is_uncaught
from m10actors.loglines.json_record import json_record
from m10actors.loglines.level_search import Level, LevelSearch
from m10actors.loglines.levels import LETTERS, MEANINGS, SEVERITIES
from m10actors.loglines.record import Record

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_SYSLOG: Final = re.compile(
    rf"(?:<(?P<priority>\d{{1,3}})>)?(?:\S{{1,40}} \d{{9,}} [\d.]{{8,}} \S{{1,80}} )?"
    rf"(?P<time>{_MONTH} {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d(?:\.\d+)?|{_ISO}) (?P<host>\S{{1,255}}) "
    r"(?P<tag>[^\s:\[]{1,64}(?: [^\s:\[\d][^\s:\[]{0,31}){0,2})(?:\[[^\]]{0,32}\])?(?: \([^)]{1,80}\)(?:\[\d+\])?)?: ?"
)
_SYSLOG_5424: Final = re.compile(
    r"<(?P<priority>\d{1,3})>1 (?P<time>\S{1,40}) (?P<host>\S{1,255}) (?P<tag>\S{1,48}) \S{1,128} \S{1,32} "
    r"(?:-|(?:\[(?:[^\]\\]|\\.){0,2000}\])+) ?\ufeff?"
)
_LOGCAT: Final = re.compile(
    r"(?P<time>(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6})\s{1,8}\d{1,7}\s{1,8}\d{1,7} (?P<letter>[VDIWEFA]) "
    r"(?P<logger>[^:]{0,64}?)\s{0,40}: ?"
    r"|(?:(?P<brief_time>\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) )?(?P<brief_letter>[VDIWEFA])/"
    r"(?P<brief_logger>[^(\s]{1,64})\s{0,8}\(\s{0,6}\d+\): ?"
)
_GLOG: Final = re.compile(
    r"(?P<letter>[IWEF])(?P<time>(?:\d{4})?\d{4} \d\d:\d\d:\d\d\.\d{1,9})\s{1,8}\d+ (?P<logger>[^\s:\]]{1,200}:\d+)\] ?"
)
_REDIS: Final = re.compile(r"\d+:[A-Z] (?P<time>\d\d \w{3} (?:\d{4} )?\d\d:\d\d:\d\d\.\d{3}) (?P<sign>[.*#-]) ")
_PHP: Final = re.compile(
    r"(?:\[(?P<time>\d\d-\w{3}-\d{4} [^\]]{8,60})\] )?"
    r"(?:(?:PHP )?(?P<error>Fatal|Parse|Recoverable fatal|Core|Compile) error"
    r"|PHP (?P<other>Warning|Notice|Deprecated)): {1,2}(?=\S)"
)
_PHP_LEVELS: Final = {
    **dict.fromkeys(("Fatal", "Recoverable fatal", "Core", "Compile"), "FATAL"),
    "Parse": "ERROR",
    "Warning": "WARNING",
    **dict.fromkeys(("Notice", "Deprecated"), "NOTICE"),
}
_ACCESS: Final = re.compile(
    r"\S{1,255} \S{1,255} \S{1,255} \[(?P<time>[^\]]{1,40})\] "
    r"\"(?P<request>[^\"? ]{1,20} [^\"? ]{0,2000})[^\"]{0,8000}\" "
    r"(?P<status>[1-5]\d\d) "
)
_TIME: Final = re.compile(r"\d{4}[/-]\d\d[/-]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?")
_DOTTED: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.[A-Za-z_][\w$]*)+(?![\w.])")
_BETWEEN: Final = re.compile(r"(?:[\s\])>|:,-]|\d+\s+---\s|\[(?!Errno)[^\]]*\])*+")
_LOGGER: Final = re.compile(r"([A-Za-z_][\w$-]*+(?:[./:][\w$-]++)++(?:\([^)]*\))?)(?:\s*:\s|\s+[-|]\s|\s+(?=\[))")
_MESSAGE_FIELD: Final = re.compile(r'(?<![\w.])(?:msg|message)\s?[=:]\s?(?:"((?:[^"\\]|\\.)*+)"|(\S+))')
_EXCEPTION: Final = re.compile(r"(?:Exception|Error)(?:\(|$)")


class Shapes:
    """The recogniser for one set of levels; words in `more_levels` count as levels beside the known ones."""

    def __init__(self, more_levels: Iterable[str] = ()) -> None:
        self._levels = LevelSearch(more_levels)

    def __call__(self, text: str) -> Record | None:
        """What `text` says if it begins a record; None for a line without a level or a shape."""
        if text[:1] == "{" and (record := json_record(text)):
            return record
        return self._syslog(text) or _lettered(text) or _access(text) or self._headed(text)

    def _syslog(self, text: str) -> Record | None:
        """A line of syslog; a level in its message wins over its priority, which is often one for all lines."""
        found = _SYSLOG_5424.match(text) or _SYSLOG.match(text)
        if found is None or any(part.upper() in MEANINGS for part in (found["host"], found["tag"])):
            return None
        message = text[found.end() :]
        inner = (json_record(message) if message[:1] == "{" else None) or self._headed(message)
        level = SEVERITIES[int(found["priority"]) % 8] if found["priority"] else None
        if inner is None:
            return Record(message or text, level, found["tag"], found["time"])
        return Record(
            inner.message, inner.level or level, inner.logger or found["tag"], found["time"], None, inner.details
        )

    def _headed(self, text: str) -> Record | None:
        if found := _PHP.match(text):
            return Record(text[found.end() :], _PHP_LEVELS[found["error"] or found["other"]], None, found["time"])
        level = self._levels.find(text)
        if level is None or (text[:1].isspace() and not _is_timed(text)):
            return None
        return Record(text, level.word) if is_uncaught(text) else _record(text, level)


def _lettered(text: str) -> Record | None:
    if found := _LOGCAT.match(text):
        letter = found["letter"] or found["brief_letter"]
        logger, time = found["logger"] or found["brief_logger"], found["time"] or found["brief_time"]
        return Record(text[found.end() :] or text, LETTERS[letter], logger or None, time)
    if found := _GLOG.match(text):
        return Record(text[found.end() :] or text, LETTERS[found["letter"]], found["logger"], found["time"])
    if found := _REDIS.match(text):
        level = "WARNING" if found["sign"] == "#" else "INFO"
        return Record(text[found.end() :] or text, level, "redis", found["time"])
    return None


def _access(text: str) -> Record | None:
    """An answer from 500 on is the server's failure; all others are what it is there for, or the caller's."""
    found = _ACCESS.match(text)
    if found is None:
        return None
    level = "ERROR" if found["status"] >= "500" else "INFO"
    return Record(f"{found['request']}: HTTP {found['status']}", level, None, found["time"])


def _record(text: str, level: Level) -> Record:
    """The parts around the level: before it a time and often a logger, after it the logger's name and the message."""
    before, after = text[: level.start], text[level.end :]
    time = _TIME.search(before)
    loggers = _DOTTED.findall(_TIME.sub(" ", before))
    logger = loggers[-1] if loggers else None
    if field := _MESSAGE_FIELD.search(text):
        message = field[1] if field[1] is not None else field[2]
        return Record(message or text, level.word, logger, time and time[0])
    message = after[_end(_BETWEEN.match(after)) :]
    if (named := _LOGGER.match(message)) and not _EXCEPTION.search(named[1]):
        logger, message = named[1], message[named.end() :]
        message = message[_end(_BETWEEN.match(message)) :] if message[:1] == "[" else message
    return Record(message.strip() or text, level.word, logger, time and time[0])


def _is_timed(text: str) -> bool:
    return text.lstrip().lstrip("[")[:1].isdigit()


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0
