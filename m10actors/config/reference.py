"""The reference page and the values that `m10 config` prints, both read off the model."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from typing import Any

from m10actors.config import durations
from m10actors.config.keys import Default, Key, keys, named_tables, sections
from m10actors.config.load import Loaded, value_at
from m10actors.config.model import Settings

_PREFACE = """\
# Configuration

This page is made by `m10 config reference`. `config/m10.toml` holds the same keys as a file to start from.

- **Order**: defaults, then the file given with `-c` (none is read without it), then the environment, then flags.
  The last one that sets a key wins; `m10 config show --origin` tells which one that was.
- **Environment**: an empty value counts as not set. A bare number has the unit in the table; a suffix is accepted too.
  Lists are separated by commas. A name that begins with `M10_`, `OUTBOX_` or `RECOVERY_` and is nearly a known one is
  an error.
- **Durations**: `500ms`, `30s`, `5m`, `2h`, `7d`, to the millisecond; in TOML always as a text.
- **Secrets** (marked †) may stand in a file of their own: `<key>_file` in TOML, relative to the folder of the
  configuration, or `<NAME>_FILE` in the environment. They are never printed. A list of secrets has one on each line.
- **Errors**: everything wrong is reported at once and nothing starts; exit code 2. `m10 config check -c FILE` does only
  that.
"""


def reference() -> str:
    """The page in Markdown."""
    parts = [_PREFACE]
    for table, group in groupby(keys().values(), key=lambda key: key.path.rpartition(".")[0]):
        parts.append(f"## [{table.replace('*', 'NAME')}]\n\n{_about(table)}{_table(list(group))}\n")
    return "\n".join(parts)


def described() -> list[dict[str, object]]:
    """The same as plain values."""
    return [
        {
            "key": key.path,
            "expected": key.expected,
            "default": plain(key.default),
            "environment": key.env.name if key.env else None,
            "unit": (key.env.unit or None) if key.env else None,
            "secret": key.secret,
            "sentence": key.sentence,
        }
        for key in keys().values()
    ]


def current(loaded: Loaded) -> Iterator[tuple[str, object, str]]:
    """Key path, plain value and origin of every setting, in the order of the model."""
    for path in _paths(loaded.settings):
        yield path, plain(value_at(loaded.settings, path)), loaded.origins.get(path, "default")


def plain(value: object) -> Any:
    """A value for JSON: durations and addresses as text, secrets hidden, None where nothing is set."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case timedelta():
            return durations.render(value)
        case Mapping():
            return {name: plain(item) for name, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case _:  # a path, an address, a network; a secret, which prints without what is secret
            return str(value)


def literal(value: object) -> str:
    """A value as TOML writes it."""
    match plain(value):
        case None:
            return ""
        case bool() as flag:
            return "true" if flag else "false"
        case str() as text:
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list() as items:
            return "[" + ", ".join(literal(item) for item in items) + "]"
        case dict() as table:
            return "{" + ", ".join(f"{name} = {literal(item)}" for name, item in table.items()) + "}"
        case other:
            return str(other)


def _paths(settings: Settings) -> Iterator[str]:
    for path in keys():
        head, star, rest = path.partition(".*.")
        if star:
            yield from (f"{head}.{name}.{rest}" for name in value_at(settings, head))
        else:
            yield path


def _about(table: str) -> str:
    section: Any = Settings
    for name in table.replace(".*", "").split("."):
        section = sections(section).get(name) or named_tables()[name]
    return f"{section.__doc__}\n\n"


def _table(group: list[Key]) -> str:
    rows = ["| key | default | environment | expected | meaning |", "|---|---|---|---|---|"]
    for key in group:
        name = f"`{key.path.rpartition('.')[2]}`" + (" †" if key.from_file else "")
        cells = (name, _default(key), _env(key), key.expected, key.sentence)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _default(key: Key) -> str:
    if key.default is Default.REQUIRED:
        return "required"
    return f"`{text}`" if (text := literal(key.default)) else ""


def _env(key: Key) -> str:
    if key.env is None:
        return ""
    return f"`{key.env.name}`" + (f" ({key.env.unit})" if key.env.unit else "")
