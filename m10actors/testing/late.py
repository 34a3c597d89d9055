"""A pytest plugin that makes late whatever may be late: `python -m pytest -p m10actors.testing.late --late-seed 1`.

A statement, a command to Redis and a message to an actor each wait, now and then, before they go on; so do the tests'
own statements and commands. A test that relies on who comes first fails here, and one day elsewhere. The seed gives the
pauses; which thread takes which is not repeatable.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import redis

from m10actors.streams.client import RedisClient
from m10actors.supervision import Actor

SEAMS: tuple[tuple[type, str], ...] = (
    (psycopg.Connection, "execute"),
    (redis.Redis, "execute_command"),
    (RedisClient, "call"),
    (RedisClient, "pipeline"),
    (Actor, "on_receive"),
)


class Pauses:
    """A `share` of all calls waits up to `most` seconds."""

    def __init__(self, seed: int, share: float, most: float) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._share = share
        self._most = most

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def late(*given: Any, **named: Any) -> Any:
            time.sleep(self._next())
            return call(*given, **named)

        return late

    def _next(self) -> float:
        with self._lock:
            return self._random.random() * self._most if self._random.random() < self._share else 0.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("late", "pauses at random")
    group.addoption("--late-seed", type=int, default=1, help="of the pauses")
    group.addoption("--late-share", type=float, default=0.2, help="how many calls wait, of 1")
    group.addoption("--late-most", type=float, default=0.03, help="how long one waits at most, in seconds")


def pytest_configure(config: pytest.Config) -> None:
    pauses = Pauses(*(config.getoption(f"--late-{name}") for name in ("seed", "share", "most")))
    patch = pytest.MonkeyPatch()
    for owner, name in SEAMS:
        patch.setattr(owner, name, pauses.before(getattr(owner, name)))
    config.add_cleanup(patch.undo)
