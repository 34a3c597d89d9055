"""What the monitors find out, carried to the tree: children that need a store stand still without it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from m10actors.actors.monitors import look
from m10actors.application.parts import Parts
from m10actors.recovery.dependency import Condition, Dependency, Health
from m10actors.supervision import SupervisorSpec
from m10actors.supervisor import Tree, start_tree


def start_in_weather(root: SupervisorSpec, parts: Parts, *, down: frozenset[str], **options: Any) -> Tree:
    """`start_tree`, in the weather of the moment: children that need a store that is away begin parked, and from now on
    they follow what its monitor says. `down`: what else is down; `options`: see `start_tree`.
    """
    look(parts.postgres, parts.postgres_prober.probe)
    look(parts.redis, parts.prober.probe)
    stores = parts.postgres, parts.redis
    away = frozenset(store.name for store in stores if store.is_down)
    tree = start_tree(root, down=down | away, **options)
    for store in stores:
        store.subscribe(_teller(tree, store))
    return tree


def _teller(tree: Tree, store: Dependency) -> Callable[[Health], None]:
    return partial(_tell, tree, store.name)


def _tell(tree: Tree, name: str, health: Health) -> None:
    tree.weather(name, up=health.condition is not Condition.DOWN, why=health.reason)
