"""What of a new configuration a running process can take over, and what needs a restart."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from m10actors.config.checks import conflicts
from m10actors.config.errors import ConfigError, Problem
from m10actors.config.kinds import Section
from m10actors.config.model import Settings

LIVE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "actions": frozenset(),
        "approvals": frozenset(),
        "autonomy": frozenset(),
        "evaluators": frozenset(),
        "destinations": frozenset(),
        "slack": frozenset(),
        "decisions": frozenset(
            {
                "evaluator_enabled",
                "evaluators",
                "min_confidence",
                "auto_execute",
                "auto_confidence",
                "execution_cooldown",
                "reopen_after",
                "verify_window",
                "result_timeout",
                "attempt_budget",
                "rules_file",
                "rule_time_limit",
            }
        ),
        "outbox": frozenset({"max_retries", "retry_schedule", "jitter", "max_age", "claim_takeover"}),
        "process": frozenset({"grace", "log_level", "log_format"}),
    }
)
"""The tables, and the keys in them, that can change while the process runs; no keys stands for the whole table."""


def reloaded(running: Settings, wanted: Settings) -> Settings:
    """`running` with what can change taken from `wanted`. ConfigError if the two do not fit together."""
    update: dict[str, Any] = {}
    for table, names in LIVE.items():
        new: Any = getattr(wanted, table)
        if names:
            new = getattr(running, table).model_copy(update={name: getattr(new, name) for name in names})
        update[table] = new
    settings = running.model_copy(update=update)
    if problems := [Problem(each.keys[0], each.expected, each.got, "reload") for each in conflicts(settings)]:
        raise ConfigError(problems)
    return settings


def changes(before: Settings, after: Settings) -> tuple[str, ...]:
    """The keys whose values differ, in the order of the reference; a named table that is new or gone stands as one."""
    return tuple(_changes(before, after, ""))


def _changes(before: Any, after: Any, prefix: str) -> Iterator[str]:
    for name in _names(before, after):
        old, new = _value(before, name), _value(after, name)
        path = f"{prefix}{name}"
        if all(isinstance(value, Section) or (isinstance(value, Mapping) and not prefix) for value in (old, new)):
            yield from _changes(old, new, f"{path}.")
        elif old != new:
            yield path


def _names(before: Any, after: Any) -> list[str]:
    if isinstance(before, Section):
        return list(type(before).model_fields)
    return list({**before, **after})


def _value(table: Any, name: str) -> object:
    return table.get(name) if isinstance(table, Mapping) else getattr(table, name)
