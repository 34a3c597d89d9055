"""From the text of a rule file to its tables: everything that is wrong with it at once, each with its line."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from m10actors.config import ConfigError
from m10actors.config.errors import Problem
from m10actors.config.kinds import Section
from m10actors.config.sources import shown
from m10actors.rulebook.faults import expected_and_got, written
from m10actors.rulebook.tables import MAX_DEPTH, Condition, History, Occurrences, Rate, Rule

MAX_BYTES: Final = 1_000_000
MAX_RULES: Final = 1_000

_HEADER = re.compile(r"\s*\[\[\s*(?:rule|\"rule\"|'rule')\s*\]\]")
_TABLES: Final[Mapping[object, type[Section]]] = {
    "when": Condition,
    "all": Condition,
    "any": Condition,
    "not": Condition,
    "occurrences": Occurrences,
    "rate": Rate,
    "history": History,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where rule number `index` stands in the file `path`: the texts of its lines, the first at line `first`."""

    path: Path
    index: int
    first: int
    lines: Sequence[str]

    def problem(self, name: str | None, key: str, expected: str, got: str) -> Problem:
        """A problem with `key` of the rule, which is called `name` if it has one."""
        rule = f"rule {name}" if name else f"rule {self.index + 1}"
        return Problem(f"{rule}: {key}" if key else rule, expected, got, f"file {self.path}{self._line(key)}")

    def _line(self, key: str) -> str:
        """That of the part of `key` that begins a line; that of the header where none does."""
        if not self.lines:
            return ""
        outer = re.split(r"[.\[]", key)[0]
        begins = re.compile(rf"\s*({re.escape(outer)}\s*[=.]|\[{{1,2}}\s*rule\.{re.escape(outer)}\b)")
        found = (number for number, line in enumerate(self.lines) if outer and begins.match(line))
        return f", line {self.first + next(found, 0)}"


def read(path: Path) -> tuple[list[tuple[Rule, Place]], list[Problem]]:
    """The rules of a file that have the right form, and what is wrong with the others. ConfigError if it cannot be read
    as a list of rules at all.
    """
    text = text_of(path, MAX_BYTES)
    raw = tables_of(path, text, "rule")
    if len(raw) > MAX_RULES:
        raise unreadable(path, f"at most {MAX_RULES:,} rules", f"{len(raw):,}")
    places = _places(path, text, len(raw))
    rules: list[tuple[Rule, Place]] = []
    problems: list[Problem] = []
    names: set[str] = set()
    for item, place in zip(raw, places, strict=True):
        match item:
            case {"name": str(name)} if name in names:
                problems.append(place.problem(name, "name", "a name that no other rule has", shown(name)))
            case {"name": str(name)}:
                names.add(name)
        found = list(_problems(item, place))
        problems += found
        if not found:
            rules.append((Rule.model_validate(item), place))
    return rules, problems


def text_of(path: Path, max_bytes: int) -> str:
    """The text of a file; ConfigError if it cannot be read, is too large or no UTF-8."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise unreadable(path, "a readable file", error.strerror or type(error).__name__) from error
    if len(content) > max_bytes:
        raise unreadable(path, f"at most {max_bytes:,} bytes", "more")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise unreadable(path, "TOML in UTF-8", str(error)) from error


def unreadable(path: Path, expected: str, got: str) -> ConfigError:
    """The one problem of a file that is no list of tables at all."""
    return ConfigError([Problem(path.name or str(path), expected, got, f"file {path}")])


def tables_of(path: Path, text: str, name: str) -> list[object]:
    """The `[[name]]` tables of a TOML file, which has nothing else, unchecked; ConfigError."""
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise unreadable(path, f"at most {MAX_DEPTH} levels of tables", "far more") from error
    except ValueError as error:
        raise unreadable(path, "TOML in UTF-8", str(error)) from error
    if unknown := sorted(set(document) - {name}):
        raise unreadable(path, f"[[{name}]] tables and nothing else", shown(unknown[0]))
    found = document.get(name)
    if not isinstance(found, list) or not found:
        raise unreadable(path, f"one [[{name}]] table at least", shown(found) if found else "none")
    return found


def _places(path: Path, text: str, rules: int) -> list[Place]:
    """Without lines where they cannot be told: the rules are written as one list, or a text of theirs looks like a
    header.
    """
    lines = text.split("\n")
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    if len(headers) != rules:
        return [Place(path, index, 0, ()) for index in range(rules)]
    ends = [*headers[1:], len(lines)]
    return [
        Place(path, index, first + 1, lines[first:end])
        for index, (first, end) in enumerate(zip(headers, ends, strict=True))
    ]


def _problems(item: object, place: Place) -> Iterator[Problem]:
    """Everything that is wrong with the form of one rule."""
    if not isinstance(item, dict):
        yield place.problem(None, "", "a table", shown(item))
        return
    name = item["name"] if isinstance(item.get("name"), str) else None
    if _depth(item.get("when")) > MAX_DEPTH:
        yield place.problem(name, "when", f"conditions of at most {MAX_DEPTH} levels", "more")
        return
    try:
        Rule.model_validate(item)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield _problem(detail, name, place)


def _depth(condition: object) -> int:
    """Levels of conditions; it goes level by level, so that no nesting exhausts the stack."""
    level, depth = [condition], 0
    while level:
        level, depth = [inner for outer in level if isinstance(outer, dict) for inner in _inner(outer)], depth + 1
    return depth


def _inner(condition: Mapping[str, Any]) -> Iterator[object]:
    for key in ("all", "any"):
        if isinstance(listed := condition.get(key), list):
            yield from listed
    if "not" in condition:
        yield condition["not"]


def _problem(detail: ErrorDetails, name: str | None, place: Place) -> Problem:
    outer = [part for part in detail["loc"][:-1] if part in _TABLES]
    expected, got = expected_and_got(detail, _TABLES[outer[-1]] if outer else Rule)
    return place.problem(name, written(detail["loc"]), expected, got)
