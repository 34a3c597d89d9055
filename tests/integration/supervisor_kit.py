"""Actors and trees for the tests of the supervisor."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pykka

from m10actors.supervision import Actor, Backoff, ChildSpec, ChildState, Link, Strategy, SupervisorSpec
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.waiting import eventually

FAST = Backoff(base=0.001, cap=0.002)


class Journal:
    """What happened, in order, as `begin a`, `end a`, …; safe across threads."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)

    def clear(self) -> None:
        self.lines.clear()

    def wait_for(self, *lines: str) -> None:
        try:
            eventually(lambda: self.lines == list(lines))
        except AssertionError:
            raise AssertionError(f"expected {list(lines)}, got {self.lines}") from None


@dataclass(frozen=True)
class Raise:
    error: BaseException


@dataclass(frozen=True)
class Do:
    action: Callable[["Probe"], object]


class Probe(Actor):
    """Writes down its life and does what it is told; `begin`, `end` and `interrupted` run in its hooks."""

    def __init__(
        self,
        link: Link,
        journal: Journal,
        begin: Callable[["Probe"], object] = lambda _: None,
        end: Callable[["Probe"], object] = lambda _: None,
        interrupted: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(link)
        self.journal, self._begin, self._end_hook, self._interrupted = journal, begin, end, interrupted

    def on_begin(self) -> None:
        self.journal.write(f"begin {self.child_id}")
        self._begin(self)

    def on_message(self, message: object) -> object:
        match message:
            case Raise(error):
                raise error
            case Do(action):
                return action(self)
            case _:
                self.journal.write(f"{self.child_id} got {message}")
                return message

    def on_end(self) -> None:
        self.journal.write(f"end {self.child_id}")
        self._end_hook(self)

    def interrupt(self) -> None:
        self._interrupted()


def child(journal: Journal, name: str, hooks: dict[str, Any] | None = None, **spec: Any) -> ChildSpec:
    return ChildSpec(name, start=lambda link: Probe.start(link, journal, **(hooks or {})), **spec)


def root(*children: ChildSpec | SupervisorSpec, **spec: Any) -> SupervisorSpec:
    return SupervisorSpec("root", children, **({"backoff": FAST, "intensity": 100} | spec))


@contextmanager
def running(spec: SupervisorSpec, **options: Any) -> Iterator[Tree]:
    """The tree of `spec`, stopped at the end; afterwards no thread is left that was not there before."""
    before = set(threading.enumerate())
    tree = start_tree(spec, **options)
    try:
        yield tree
    finally:
        tree.stop(deadline=10)
        eventually(lambda: set(threading.enumerate()) <= before)
        assert pykka.ActorRegistry.get_all() == []


@contextmanager
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    eventually(lambda: set(threading.enumerate()) <= before)


def states(tree: Tree) -> dict[str, ChildState]:
    """Every child of the tree by its id."""

    def walk(state: ChildState) -> Iterator[ChildState]:
        yield state
        for below in state.children:
            yield from walk(below)

    return {state.id: state for state in walk(tree.snapshot())}


def on_thread_of(tree: Tree, name: str) -> str:
    """The name of the thread that handles the child's messages; proves that it answers."""
    return str(tree.ask(name, Do(lambda _: threading.current_thread().name), timeout=10))


__all__ = [
    "FAST",
    "Do",
    "Journal",
    "Probe",
    "Raise",
    "Strategy",
    "child",
    "no_thread_left",
    "on_thread_of",
    "root",
    "running",
    "states",
]
