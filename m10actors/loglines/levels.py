"""The words with which logs say how bad a line is."""

import re
from collections.abc import Iterable
from typing import Final

FAILURE_LEVELS: Final = ("WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "SEVERE")

MEANINGS: Final = {
    **dict.fromkeys(("TRACE", "VERBOSE", "FINEST", "FINER", "DEBUG", "DBG"), "DEBUG"),
    **dict.fromkeys(("INFO", "INF", "INFORMATION", "INFORMATIONAL", "NOTICE"), "INFO"),
    **dict.fromkeys(("WARN", "WARNING", "WRN"), "WARNING"),
    **dict.fromkeys(("ERROR", "ERR", "FAILURE"), "ERROR"),
    **dict.fromkeys(("CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "DPANIC"), "CRITICAL"),
    **dict.fromkeys(("FATAL", "FTL"), "FATAL"),
    "SEVERE": "SEVERE",
}
"""Each word, and the level that it stands for."""

LETTERS: Final = {"V": "DEBUG", "D": "DEBUG", "I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL", "A": "FATAL"}
"""Android's and glog's letters."""

SEVERITIES: Final = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""The severities of syslog (RFC 5424, table 2), which are journald's priorities: 0 .. 7."""

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


def meaning(word: str) -> str:
    """The level that a word stands for, whatever its case; a word of nobody else's stands for itself."""
    return MEANINGS.get(word.upper(), word.upper())


def chosen(words: Iterable[str]) -> frozenset[str]:
    """The levels that make a line a failure; ValueError for what can be no level, or for none at all."""
    listed = [word.strip() for word in words]
    if not listed or not all(_WORD.fullmatch(word) for word in listed):
        raise ValueError("one or more levels with commas between, such as WARN,ERROR,FATAL")
    return frozenset(map(meaning, listed))
