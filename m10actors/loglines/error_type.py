"""What kind of failure a line tells of: the error type, by which the rules choose an action."""

import re
from http import HTTPStatus
from typing import Final

from m10actors.loglines.stack import Raised
from m10actors.recovery.conditions import Code, leaves
from m10actors.recovery.failure import MAX_CODE_LENGTH, UNKNOWN_CODE
from m10actors.recovery.rules import CONTRACT_RULES

_PHRASES = "|".join(f"{status.value} {status.phrase}" for status in HTTPStatus if status >= 400)
_STATUS: Final = re.compile(
    r"(?:HTTP/\d(?:\.\d)?\"?\s{1,3}"
    r"|(?<![a-z0-9])HTTP[\s_:-]{0,3}(?:status|error|code|response)?[\s_:=-]{0,3}(?:code)?[\s_:=-]{0,3}"
    r"|(?<![a-z0-9])(?:status|response)(?:[\s_-]?code)?[\"']?\s{0,3}[:= ]\s{0,3}[\"']?)"
    r"(?P<number>[45]\d\d)(?![\w.]\w|\w)"
    rf"|(?<![\w.])(?P<phrase>{_PHRASES})(?!\w)",
    re.IGNORECASE,
)
_FAILURE_WORDS: Final = re.compile(
    r"(?<!\bno )(?<!\b0 )(?<!without )(?<![a-z0-9])"
    r"(?:errors?|fail(?:s|ed|ure|ures)?|fatal|panic(?:ked)?|critical|exception|denied|refused|time[ds]?[ -]?out"
    r"|segfault|crash(?:ed)?|abort(?:ed)?|unreachable|unavailable|unable to|could not|cannot|can't|invalid|illegal"
    r"|break-in)"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)


def _word(pattern: str) -> str:
    """A rule's pattern as it stands in prose: TIMED_OUT as `timed out`."""
    return rf"(?<![A-Z0-9]){re.escape(pattern).replace('_', '[ _-]')}(?![A-Z0-9])"


_RULES_WORDS: Final = [
    (pattern, re.compile(_word(pattern), re.IGNORECASE))
    for rule in CONTRACT_RULES.rules
    for leaf in leaves(rule.when)
    if isinstance(leaf, Code)
    for pattern in leaf.patterns
    if not pattern.isdigit()
]


def error_type(raised: Raised | None, message: str) -> str:
    """The exception's class without its package, else `HTTP_503`, else a word of a rule (in the rules' order, so that
    the rule then matches), else UNKNOWN.
    """
    if raised is not None and raised.name is not None:
        return re.split(r"[.$\\]|::", raised.name)[-1][:MAX_CODE_LENGTH]
    if status := _STATUS.search(message):
        return f"HTTP_{status['number'] or status['phrase'][:3]}"
    return next((pattern for pattern, word in _RULES_WORDS if word.search(message)), UNKNOWN_CODE)


def tells_of_failure(message: str) -> bool:
    """Whether the words of a line that says no level are those of a failure."""
    return bool(_FAILURE_WORDS.search(message))
