"""Counts the words of every file in a folder: `python examples/supervision/word_count.py FOLDER [--once]`.

A tree for another purpose than the pipeline's; docs/supervision.md walks through it. New files are counted as they
appear, by a pool of counters. While the folder is away (not made yet, not mounted) all that need it are parked. A file
on which a counter crashes twice is put aside. With --once it ends when every file has been counted.
"""

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from m10actors import logs
from m10actors.supervision import Actor, AutoShutdown, ChildSpec, Link, Restart, Strategy, SupervisorSpec
from m10actors.supervisor import start_tree

LOOK_EVERY = 0.2
MOST_ATTEMPTS = 2
FOLDER = "folder"
WATCHER = "watcher"
LOOK = "look"


class FolderMonitor(Actor):
    """The one judge of whether the folder is there."""

    def __init__(self, link: Link, folder: Path) -> None:
        super().__init__(link)
        self._folder = folder

    def on_begin(self) -> None:
        self.tick_in(0, LOOK)

    def on_message(self, _message: object) -> None:
        is_there = self._folder.is_dir()
        self.weather(FOLDER, up=is_there, why="" if is_there else f"{self._folder} is no folder")
        self.tick_in(LOOK_EVERY, LOOK)


class Watcher(Actor):
    """Knows what is to be done. It hands a file only to a counter that asked, so no inbox grows."""

    def __init__(self, link: Link, folder: Path, once: bool) -> None:
        super().__init__(link)
        self._folder, self._once = folder, once
        self._in_hand: dict[str, Path] = {}
        self._attempts: dict[Path, int] = {}
        self._done: set[Path] = set()

    def on_begin(self) -> None:
        self.tick_in(LOOK_EVERY, LOOK)

    def on_message(self, message: object) -> None:
        match message:
            case ("begins", str(counter)):
                self._in_hand.pop(counter, None)  # what its predecessor had when it crashed is to be done again
                self._give(counter)
            case ("wants", str(counter)) if counter not in self._in_hand:
                self._give(counter)
            case ("counted", str(counter), Path() as path, int(words)):
                print(f"{path.name}: {words}", flush=True)
                self._done.add(path)
                self._in_hand.pop(counter, None)
                self._give(counter)
            case "look":
                if self._once and self._folder.is_dir() and not self._in_hand and not self._open():
                    self.stop()  # a normal exit; it is significant, so it ends the tree
                self.tick_in(LOOK_EVERY, LOOK)

    def _open(self) -> list[Path]:
        try:
            found = sorted(path for path in self._folder.iterdir() if path.is_file())
        except FileNotFoundError:
            return []  # weather, which the monitor is about to report
        return [path for path in found if path not in self._done and path not in self._in_hand.values()]

    def _give(self, counter: str) -> None:
        for path in self._open():
            self._attempts[path] = self._attempts.get(path, 0) + 1
            if self._attempts[path] > MOST_ATTEMPTS:
                print(f"{path.name}: put aside", flush=True)
                self._done.add(path)
                continue
            self._in_hand[counter] = path
            self.tell_child(counter, path)
            return


class Counter(Actor):
    """Counts one file at a time. It asks again on every tick, which is its sign of life too."""

    def on_begin(self) -> None:
        self.tell_child(WATCHER, ("begins", self.child_id))
        self.tick_in(LOOK_EVERY, LOOK)

    def on_message(self, message: object) -> None:
        match message:
            case Path() as path:
                self.doing(f"counting {path.name}")
                words = len(path.read_text(encoding="utf-8").split())  # a file that is no text is a crash
                self.tell_child(WATCHER, ("counted", self.child_id, path, words))
            case "look":
                self.tell_child(WATCHER, ("wants", self.child_id))
        self.tick_in(LOOK_EVERY, LOOK)


def tree(folder: Path, *, once: bool, counters: int) -> SupervisorSpec:
    """The monitor; and beside it the watcher with the counters, which are restarted when it is."""
    pool = [ChildSpec(f"counter.{n}", Counter.start, stall_after=10.0, period=1.0) for n in range(counters)]
    watcher = ChildSpec(
        WATCHER,
        lambda link: Watcher.start(link, folder, once),
        restart=Restart.TRANSIENT,
        significant=True,
        needs=frozenset({FOLDER}),  # and the counters with it, as rest_for_one says
    )
    work = SupervisorSpec(
        "work",
        (watcher, SupervisorSpec("counters", tuple(pool), intensity=10, stop_together=True)),
        strategy=Strategy.REST_FOR_ONE,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        restart=Restart.TRANSIENT,
        significant=True,
    )
    monitor = ChildSpec("folder_monitor", lambda link: FolderMonitor.start(link, folder), period=1.0)
    return SupervisorSpec("root", (monitor, work), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)


def main() -> int:
    """0: ended as asked, or all counted; 70: gave up after too many crashes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--counters", type=int, default=4)
    args = parser.parse_args()
    logs.setup()
    over: SimpleQueue[None] = SimpleQueue()  # no Event: a handler that interrupts its `wait` may wait for it in turn
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.put(None))
    spec = tree(args.folder, once=args.once, counters=args.counters)
    running = start_tree(spec, on_give_up=lambda _reason: over.put(None), down=frozenset({FOLDER}))
    wait_for(over)
    running.stop(deadline=5.0)
    return 70 if running.given_up.is_set() and str(running.exit_reason) != "shutdown" else 0


def wait_for(over: SimpleQueue[None]) -> None:
    """Returns when something is put. It looks up now and then, for a signal may be taken by another thread, which does
    not wake this one: only when it runs is the handler called.
    """
    while True:
        with suppress(Empty):
            return over.get(timeout=0.5)


if __name__ == "__main__":
    sys.exit(main())
