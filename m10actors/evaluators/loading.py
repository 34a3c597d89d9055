"""Evaluators of users: found by the dotted path that the configuration gives, else by the entry point group
`m10actors.evaluators`, and made with the options of their table.

    [project.entry-points."m10actors.evaluators"]
    model = "my_package.model:Model"
"""

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from m10actors.evaluators.protocol import Evaluator

GROUP: Final = "m10actors.evaluators"


class InvalidEvaluator(ValueError):
    """An evaluator of the configuration that cannot be used."""


def load(name: str, path: str | None, options: Mapping[str, object]) -> Evaluator:
    """The evaluator NAME, made with `options`. `path`: `package.module:Class`; None: the entry point with that name.
    InvalidEvaluator says what is wrong with it.
    """
    made: Any = _made(name, _found(name, path), options)
    if not callable(getattr(made, "evaluate", None)):
        raise InvalidEvaluator(f"evaluators.{name}: expected an object with a method evaluate, got {_kind(made)}")
    evaluator: Evaluator = made
    return evaluator


def _found(name: str, path: str | None) -> Callable[..., Any]:
    """What makes it."""
    try:
        target = _of_path(path) if path is not None else _of_entry_point(name)
    except InvalidEvaluator:
        raise
    except Exception as error:  # the edge of a guest, whose module may do anything when it is imported
        where = path or "its entry point"
        raise InvalidEvaluator(f"evaluators.{name}: {where} cannot be loaded: {_said(error)}") from error
    if not callable(target):
        raise InvalidEvaluator(f"evaluators.{name}: expected a class or a function, got {_kind(target)}")
    return target


def _of_path(path: str) -> object:
    module, _, attributes = path.partition(":")
    target: object = importlib.import_module(module)
    for attribute in attributes.split("."):
        target = getattr(target, attribute)
    return target


def _of_entry_point(name: str) -> object:
    points = entry_points(group=GROUP)
    if name not in points.names:
        known = ", ".join(sorted(points.names)) or "none"
        raise InvalidEvaluator(
            f"evaluators.{name}: expected `use`, or an installed package that registers it in the group {GROUP}, which"
            f" has {known}"
        )
    return points[name].load()


def _made(name: str, target: Callable[..., Any], options: Mapping[str, object]) -> object:
    from_options = getattr(target, "from_options", None)
    try:
        return from_options(options) if from_options is not None else target(**options)
    except Exception as error:  # the edge of a guest: its constructor says what it does not like
        raise InvalidEvaluator(f"evaluators.{name}.options: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
