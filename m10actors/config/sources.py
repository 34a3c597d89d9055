"""Where settings come from: each source becomes a layer of values by key path, with who gave them."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin

from m10actors.config.errors import Problem
from m10actors.config.keys import NAME, Key, find, keys, named_tables, sections, unwrap
from m10actors.config.kinds import Beside, Section
from m10actors.config.model import Settings

NOT_SETTINGS = frozenset({"M10_FAILPOINTS", "M10_TESTING", "M10_TOKEN"})
"""Environment names of ours that are no settings."""

_OUR_PREFIXES = ("M10_", "OUTBOX_", "RECOVERY_")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Value:
    """A value as its source gave it."""

    raw: object
    origin: str


@dataclass(slots=True)
class Layer:
    """What one source says: values by path, and what cannot be a value at all."""

    values: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def from_surroundings(environ: Mapping[str, str]) -> Layer:
    """The defaults that the host gives: the run folder, from systemd or from the session."""
    if folder := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Layer({"process.run_dir": Value(folder, "environment RUNTIME_DIRECTORY")})
    if session := environ.get("XDG_RUNTIME_DIR"):
        return Layer({"process.run_dir": Value(f"{session}/m10", "environment XDG_RUNTIME_DIR")})
    return Layer({"process.run_dir": Value("~/.m10/run", "default")})


def from_file(path: Path) -> Layer:
    """A TOML file; a file that cannot be read or parsed is one problem."""
    layer = Layer()
    origin = f"file {path}"
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        layer.problems.append(Problem("file", "a readable file", error.strerror or type(error).__name__, origin))
    except ValueError as error:  # TOML or UTF-8; neither error quotes a value
        layer.problems.append(Problem("file", "TOML in UTF-8", str(error), origin))
    else:
        _Reader(layer, origin, path.parent).read(table, Settings, "")
    return layer


def from_environment(environ: Mapping[str, str]) -> Layer:
    """The environment names; an empty one counts as not set. A near miss of a name is a problem."""
    layer = Layer()
    known = {key.env.name: key for key in keys().values() if key.env}
    files = {f"{name}_FILE": (name, key) for name, key in known.items() if key.from_file}
    for name, key in known.items():
        if text := environ.get(name, "").strip():
            layer.values[key.path] = Value(from_text(key, text), f"environment {name}")
    for file_name, (name, key) in files.items():
        if file := environ.get(file_name, "").strip():
            origin = f"environment {file_name}"
            if key.path in layer.values:
                layer.problems.append(Problem(key.path, f"{name} or {file_name}", "both", origin))
            else:
                _read_secret(layer, key, key.path, Path(file), origin)
    _look_for_typos(layer, environ, {*known, *files, *NOT_SETTINGS})
    return layer


def from_flags(flags: Mapping[str, object], origin: str = "flag") -> Layer:
    """Values by path from the command line; None counts as not set, and texts are read as in the environment."""
    layer = Layer()
    for path, value in flags.items():
        key = find(path)
        if key is None:
            _, _, rest = path.partition(".")
            given = rest.partition(".")[0] or "*"
            layer.problems.append(_unknown(path, (known.replace("*", given) for known in keys()), origin))
        elif value is not None:
            layer.values[path] = Value(from_text(key, value) if isinstance(value, str) else value, origin)
    return layer


def from_text(key: Key, text: str) -> object:
    """The value that `text` means for `key`; the text itself where it has none, so that the check names it."""
    unit = key.env.unit if key.env else ""
    return _from_text(key.kind, text, unit)


def _from_text(kind: Any, text: str, unit: str) -> object:
    if get_origin(kind) is tuple:
        item = unwrap(get_args(kind)[0])[0]
        return [_from_text(item, part.strip(), unit) for part in text.split(",")]
    if kind is bool:
        return _WORDS.get(text.lower(), text)
    if kind is int:
        return int(text) if _WHOLE.fullmatch(text) else text
    if kind is float:
        return float(text) if _NUMBER.fullmatch(text) else text
    if kind is timedelta and unit and _NUMBER.fullmatch(text):
        return text + unit
    return text


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the tables of a file into a layer, guided by the model."""

    layer: Layer
    origin: str
    folder: Path

    def read(self, table: Mapping[str, Any], section: type[Section], prefix: str) -> None:
        inner, names = sections(section), section.model_fields
        for name, value in table.items():
            path = f"{prefix}{name}"
            if section is Settings and name in named_tables():
                self._read_named(path, value, named_tables()[name])
            elif name in inner:
                self._read_table(path, value, inner[name])
            elif name in names:
                self.layer.values[path] = Value(self._placed(path, value), self.origin)
            elif name.endswith("_file") and (key := find(path.removesuffix("_file"))) and key.from_file:
                self._read_secret_file(key, path, value, beside=table)
            else:
                self.layer.problems.append(_unknown(path, (f"{prefix}{known}" for known in names), self.origin))

    def _placed(self, path: str, value: object) -> object:
        key = find(path)
        is_beside = key is not None and Beside() in key.metadata and isinstance(value, str) and value != ""
        return str(self.folder / Path(str(value)).expanduser()) if is_beside else value

    def _read_table(self, path: str, value: object, section: type[Section]) -> None:
        if isinstance(value, dict):
            self.layer.values[path] = Value({}, self.origin)
            self.read(value, section, f"{path}.")
        else:
            self.layer.problems.append(Problem(path, "a table", f"{type(value).__name__} value", self.origin))

    def _read_named(self, path: str, value: object, section: type[Section]) -> None:
        if not isinstance(value, dict):
            self.layer.problems.append(Problem(path, "a table of tables", f"{type(value).__name__} value", self.origin))
            return
        for name, table in value.items():
            if NAME.fullmatch(name):
                self._read_table(f"{path}.{name}", table, section)
            else:
                expected = "a name of lower-case letters, digits, _ and -, which begins with a letter"
                self.layer.problems.append(Problem(path, expected, repr(name), self.origin))

    def _read_secret_file(self, key: Key, path: str, value: object, beside: Mapping[str, Any]) -> None:
        target = path.removesuffix("_file")
        if target.rpartition(".")[2] in beside:
            self.layer.problems.append(Problem(target, f"{target} or {path}", "both", self.origin))
        elif not isinstance(value, str) or not value:
            self.layer.problems.append(Problem(path, "a path", shown(value), self.origin))
        else:
            _read_secret(self.layer, key, target, self.folder / Path(value).expanduser(), self.origin)


def shown(value: object) -> str:
    """A value that is no secret, for a message: on one line and not longer than 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _read_secret(layer: Layer, key: Key, path: str, file: Path, origin: str) -> None:
    origin = f"{origin}, secret file {file}"
    try:
        text = file.read_bytes().decode().strip()
    except OSError as error:
        layer.problems.append(Problem(path, "a readable file", error.strerror or type(error).__name__, origin))
    except ValueError:
        layer.problems.append(Problem(path, "a file in UTF-8", "other bytes", origin))
    else:
        value: object = text.split() if get_origin(key.kind) is tuple else text
        if value:
            layer.values[path] = Value(value, origin)
        else:
            layer.problems.append(Problem(path, "a secret in the file", "an empty file", origin))


def _look_for_typos(layer: Layer, environ: Mapping[str, str], known: set[str]) -> None:
    for name in sorted(environ):
        if name in known or not name.startswith(_OUR_PREFIXES):
            continue
        if near := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            layer.problems.append(Problem(name, f"a known name (did you mean {near[0]}?)", name, "environment"))
        elif name.startswith("M10_"):
            layer.notices.append(f"{name} is in the environment but is no setting; it is ignored")


def _unknown(path: str, known: Iterable[str], origin: str) -> Problem:
    near = difflib.get_close_matches(path, list(known), n=1, cutoff=0.6)
    expected = f"a known key (did you mean {near[0]}?)" if near else "a known key (see m10 config reference)"
    return Problem(path, expected, "an unknown key", origin)
