"""From sources to settings: merge by key, validate, check what must fit together, freeze."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from m10actors.config.checks import conflicts
from m10actors.config.errors import ConfigError, Problem
from m10actors.config.keys import find, keys, named_tables
from m10actors.config.model import Settings
from m10actors.config.notices import notices
from m10actors.config.sources import Value, from_environment, from_file, from_flags, from_surroundings, shown

DEFAULT = "default"
"""The origin of a value that nobody set."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, who gave each value by key path, and what a person should know about them."""

    settings: Settings
    origins: Mapping[str, str]
    notices: tuple[str, ...]

    def is_default(self, key: str) -> bool:
        """Whether nobody set `key`."""
        return self.origins.get(key, DEFAULT) == DEFAULT

    def require(self, *required: str) -> None:
        """Raises ConfigError if one of these keys, which have no default, was not set."""
        missing = [key for key in required if value_at(self.settings, key) is None]
        if missing:
            raise ConfigError(_missing(key) for key in missing)


def load(
    file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    base: Mapping[str, object] = MappingProxyType({}),
) -> Loaded:
    """Settings from the defaults, then `file` if one is given, then `environ`, then `flags` (values by key path). What
    `m10 dev` has in the place of defaults is `base`.

    Raises ConfigError with everything that is wrong. No file is looked for: without one, none is read.
    """
    layers = [from_surroundings(environ), from_flags(base, "m10 dev"), from_environment(environ), from_flags(flags)]
    if file is not None:
        layers.insert(2, from_file(file))
    values = {path: Value(key.default, DEFAULT) for path, key in keys().items() if "*" not in path}
    for layer in layers:
        values |= layer.values
    problems = [problem for layer in layers for problem in layer.problems]
    settings, invalid = _validate(values)
    origins = {path: value.origin for path, value in values.items() if find(path)}
    problems += invalid
    problems += _conflicts(settings, origins, broken={problem.key for problem in problems})
    if problems:
        raise ConfigError(problems)
    found = chain(*(layer.notices for layer in layers), notices(settings, origins))
    return Loaded(settings, MappingProxyType(origins), tuple(found))


def value_at(settings: Settings, path: str) -> Any:
    """The value at a key path, such as `destinations.billing.url`."""
    value: Any = settings
    for name in path.split("."):
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value


def _validate(values: Mapping[str, Value]) -> tuple[Settings, list[Problem]]:
    """Settings, and what was wrong: that counts as not set, so that the rest can still be checked."""
    try:
        return Settings.model_validate(_nested(values)), []
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
    problems = {problem.key: problem for problem in (_problem(detail, values) for detail in details)}
    wrong = {_entry(path) for path in problems}
    sound = {path: value for path, value in values.items() if _entry(path) not in wrong}
    return Settings.model_validate(_nested(sound)), list(problems.values())


def _nested(values: Mapping[str, Value]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
        if find(path):
            table[name] = value.raw
        else:  # the header of a table
            table.setdefault(name, {})
    return tables


def _entry(path: str) -> str:
    """The least part that can be left out: a key, or the whole table of a name that the user gave."""
    head, name, *_ = [*path.split("."), ""]
    return f"{head}.{name}" if head in named_tables() else path


def _problem(detail: ErrorDetails, values: Mapping[str, Value]) -> Problem:
    path = next(path for path in _prefixes(detail["loc"]) if find(path))
    key = find(path)
    assert key is not None
    value = values.get(path)
    cause = detail.get("ctx", {}).get("error")
    expected = str(cause) if detail["type"] == "value_error" else key.expected
    if value is None:
        table = values.get(path.rpartition(".")[0])
        return Problem(path, expected, "nothing", table.origin if table else "nobody set it")
    return Problem(path, expected, "a hidden value" if key.secret else shown(value.raw), value.origin)


def _prefixes(loc: tuple[int | str, ...]) -> Iterator[str]:
    for length in range(1, len(loc) + 1):
        yield ".".join(str(part) for part in loc[:length])


def _conflicts(settings: Settings, origins: Mapping[str, str], broken: set[str]) -> Iterator[Problem]:
    for conflict in conflicts(settings):
        if not any(wrong == key or wrong.startswith(f"{key}.") for wrong in broken for key in conflict.keys):
            origin = origins.get(conflict.keys[0], DEFAULT)
            yield Problem(conflict.keys[0], conflict.expected, conflict.got, origin)


def _missing(path: str) -> Problem:
    key = keys()[path]
    expected = f"an address (environment {key.env.name})" if key.env else key.expected
    return Problem(path, expected, "nothing", DEFAULT)
