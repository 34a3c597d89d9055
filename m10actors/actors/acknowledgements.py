"""The entries whose work is committed, until the stream knows it too."""

from collections.abc import Iterable

from m10actors.streams import StreamQueue, StreamsError
from m10actors.testing.failpoints import failpoint

MOST_REMEMBERED = 10_000


class Acknowledgements:
    """Clean-up after a commit: what cannot be acknowledged now is later, and what never is is found done when it is
    reclaimed. Not thread-safe: it belongs to its actor.
    """

    def __init__(self, queue: StreamQueue) -> None:
        self._queue = queue
        self._unsent: list[bytes] = []

    def add(self, entry_ids: Iterable[bytes]) -> None:
        self._unsent += entry_ids

    def send(self) -> None:
        """All there are; while Redis cannot be told, the youngest are kept."""
        if not self._unsent:
            return
        try:
            self._queue.finish(self._unsent)
        except StreamsError:
            del self._unsent[:-MOST_REMEMBERED]
        else:
            self._unsent.clear()
            failpoint("eval.after_ack")
