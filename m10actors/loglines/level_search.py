"""Where the level stands in a line: a word in the header, before the message.

The first word that can be one decides, so that `INFO … error …` is no error. A word counts only where everything
before it can be a header: times, numbers, names with dots, brackets, and at most a few plain words.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from m10actors.loglines.levels import MEANINGS

HEADER_CHARACTERS = 400
"""The level is looked for in so many characters."""

_MOST_PLAIN_WORDS = 2
_ONLY_BEFORE_A_COLON = ("LOG", "DETAIL", "HINT", "STATEMENT", "CONTEXT")  # PostgreSQL's
_GROUPS = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}|<[^<>]*>|\"[^\"]*\"")
_TOKENS = re.compile(r"[^\s\[\](){}<>|,;:\"'*#]+")
_NO_PROSE = re.compile(
    r"[\d._/@=$%\\+~-]|^[A-Z]+$|^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)$"
)
_FIELD = r"(?<![\w.])[\"']?(?:log[._]?)?(?:level|lvl|levelname|severity)[\"']?\s{0,3}[=:]\s{0,3}[\"']?"


@dataclass(frozen=True, slots=True)
class Level:
    """A level that was found, and where the word begins and ends."""

    word: str
    start: int
    end: int


class LevelSearch:
    """Finds the level of a line among the words that are known and those in `more`."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        words = {*MEANINGS, *map(str.upper, more)}
        alternatives = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
        after_colon = "|".join(_ONLY_BEFORE_A_COLON)
        self._expression = re.compile(
            rf"(?P<field>{_FIELD})(?P<value>{alternatives})(?!\w)"
            rf"|(?<![\w.$/=-])(?P<word>{alternatives})(?![\w.$/=-]|\()"
            rf"|(?<![\w.$/-])(?P<before_colon>{after_colon})(?=:\s)",
            re.IGNORECASE,
        )

    def find(self, text: str) -> Level | None:
        """The level that the header of `text` names."""
        for found in self._expression.finditer(text, 0, HEADER_CHARACTERS):
            name = found.lastgroup
            assert name is not None, "each alternative has a name"
            word = found[name]
            if name == "value" or _stands_in_a_header(text, found.start(name), found.end(name)):
                return Level(word.upper(), found.start(name), found.end(name))
        return None


def _stands_in_a_header(text: str, start: int, end: int) -> bool:
    before, after = text[:start], text[end : end + 8]
    if before.count('"') % 2:
        return False
    plain = sum(1 for _ in _plain_words(before))
    if plain > _MOST_PLAIN_WORDS or (plain and before.lstrip()[:1].isalpha() and not _is_delimited(before)):
        return False
    if text[start:end].isupper():
        return True
    closed = bool(re.match(r"\s{0,2}[:\]>|)]|\t|\s{2}", after))
    return closed or (plain == 0 and bool(before.strip()))


def _plain_words(before: str) -> Iterator[str]:
    """The words that could be prose: no digits or dots, not in brackets or quotes, not all in capitals."""
    for token in _TOKENS.findall(_GROUPS.sub(" ", before)):
        if not _NO_PROSE.search(token):
            yield token


def _is_delimited(before: str) -> bool:
    """Whether a line that begins with a word has something like `name: ` or `name | ` before the level."""
    return bool(re.search(r"[:|\]>)-]\s*$|\s[\d:.]+\s*$|[\[<(|]$", before)) or bool(
        _NO_PROSE.search(before.split(maxsplit=1)[0])
    )
