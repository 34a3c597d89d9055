"""The figures of a client, counted from many threads."""

import threading
from collections import Counter

from m10actors.client.results import Stats


class Counts:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        """By the names of the fields of Stats."""
        with self._lock:
            self._counts.update(counts)

    def stats(self, *, unread: int, torn: int, waiting: int) -> Stats:
        with self._lock:
            counted = {name: self._counts[name] for name in ("captured", "sent", "duplicates", "rejected", "dropped")}
        counted["dropped"] += unread
        return Stats(**counted, torn=torn, waiting=waiting)
