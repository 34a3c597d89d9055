"""Every key of the configuration, read off the model: its default, its environment name, what it expects."""

import ast
import functools
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from m10actors.config import durations
from m10actors.config.addresses import TcpAddress, UnixAddress
from m10actors.config.kinds import Env, Says, Section
from m10actors.config.model import Settings

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""The form of names that the user gives."""


class Default(StrEnum):
    """Stands for the default of a key that has none."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. In `path`, `*` stands for a name that the user gives (`destinations.*.url`)."""

    path: str
    kind: Any
    metadata: tuple[object, ...]
    default: object
    section: type[Section]

    @property
    def sentence(self) -> str:
        """What it is for."""
        return sentences(self.section).get(self.path.rpartition(".")[2], "")

    @property
    def env(self) -> Env | None:
        return next((item for item in self.metadata if isinstance(item, Env)), None)

    @property
    def secret(self) -> bool:
        """Whether a value of this key must not be shown."""
        return holds_secret(self.kind)

    @property
    def from_file(self) -> bool:
        """Whether its value may come from a file of its own (`<key>_file`)."""
        return self.secret and get_origin(self.kind) is not Mapping

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        return _described(self.kind, self.metadata)


@functools.cache
def keys() -> Mapping[str, Key]:
    """All keys by path, in the order of the model."""
    return types.MappingProxyType({key.path: key for key in _walk(Settings, Settings(), "")})


def find(path: str) -> Key | None:
    """The key at a path as written in a file, where names stand instead of `*`."""
    return keys().get(path) or keys().get(generic(path))


def generic(path: str) -> str:
    """`destinations.billing.url` as `destinations.*.url`."""
    head, _, rest = path.partition(".")
    name, dot, last = rest.partition(".")
    return f"{head}.*{dot}{last}" if head in named_tables() and NAME.fullmatch(name) else path


@functools.cache
def named_tables() -> Mapping[str, type[Section]]:
    """The tables whose keys are names that the user gives, with the section that each name holds."""
    tables = {name: _section_of_names(unwrap(info)[0]) for name, info in Settings.model_fields.items()}
    return types.MappingProxyType({name: section for name, section in tables.items() if section is not None})


def sections(section: type[Section]) -> Mapping[str, type[Section]]:
    """The tables inside `section` by name."""
    kinds = {name: unwrap(info)[0] for name, info in section.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if _is_section(kind)}


@functools.cache
def sentences(section: type[Section]) -> Mapping[str, str]:
    """The text under each field, as the source has it: looked up for those who ask, so that no start waits for it."""
    found: dict[str, str] = {}
    for owner in reversed(section.__mro__):
        if issubclass(owner, Section):
            [definition] = ast.parse(inspect.getsource(owner)).body
            assert isinstance(definition, ast.ClassDef)
            for line, below in pairwise(definition.body):
                match line, below:
                    case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                        found[name] = inspect.cleandoc(text)
    return found


def unwrap(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    """The kind under FieldInfo, Annotated and `| None`, and all metadata found on the way."""
    metadata: tuple[object, ...] = ()
    while True:
        if isinstance(annotation, FieldInfo):
            metadata += tuple(annotation.metadata)
            annotation = annotation.annotation
        elif get_origin(annotation) is Annotated:
            annotation, *found = get_args(annotation)
            for item in found:
                metadata += tuple(item.metadata) if isinstance(item, FieldInfo) else (item,)
        elif len(some := _alternatives(annotation)) == 1:
            annotation = some[0]
        else:
            return annotation, metadata


def holds_secret(kind: Any) -> bool:
    """Whether the kind is a secret or a container of secrets."""
    kind = unwrap(kind)[0]
    return hasattr(kind, "get_secret_value") or any(holds_secret(item) for item in get_args(kind) if item is not ...)


def _walk(section: type[Section], instance: Section | None, prefix: str) -> Iterator[Key]:
    for name, info in section.model_fields.items():
        kind, metadata = unwrap(info)
        value = getattr(instance, name) if instance else info.get_default(call_default_factory=True)
        if _is_section(kind):
            yield from _walk(kind, value, f"{prefix}{name}.")
        elif named := _section_of_names(kind):
            yield from _walk(named, None, f"{prefix}{name}.*.")
        else:
            default = Default.REQUIRED if info.is_required() else value
            yield Key(f"{prefix}{name}", kind, metadata, default, section)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _section_of_names(kind: Any) -> type[Section] | None:
    if get_origin(kind) is not Mapping:
        return None
    named: Any = get_args(kind)[1]
    return named if _is_section(named) else None


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) not in (Union, types.UnionType):
        return []
    return [item for item in get_args(annotation) if item is not type(None)]


def _described(kind: Any, metadata: tuple[object, ...]) -> str:
    if says := next((item for item in metadata if isinstance(item, Says)), None):
        return says.text
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list, each {_described(*unwrap(get_args(kind)[0]))}"
    if get_origin(kind) is Mapping:
        return "a table"
    names: dict[Any, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        Path: "a path",
        timedelta: "a duration",
        TcpAddress: "host:port",
        TcpAddress | UnixAddress: "unix:, unix:PATH or host:port",
    }
    name = names.get(kind)
    if name is None:
        some = _alternatives(kind)
        name = " or ".join(_described(*unwrap(item)) for item in some) if some else "a text"
    return name + _bounds(metadata)


def _bounds(metadata: tuple[object, ...]) -> str:
    """The bounds of a number or duration; of two, the later one narrows the earlier."""
    low = [_bound(item.ge) for item in metadata if isinstance(item, Ge)]
    high = [_bound(item.le) for item in metadata if isinstance(item, Le)]
    return f" from {low[-1]} to {high[-1]}" if low and high else ""


def _bound(value: object) -> str:
    return durations.render(value) if isinstance(value, timedelta) else str(value)
