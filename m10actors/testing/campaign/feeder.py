"""The load of a campaign: failures with keys of their own, each batch sent until it is taken."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from uuid import uuid5

from m10actors.recovery.fingerprint import NAMESPACE
from m10actors.shipped import shipped
from m10actors.testing.campaign.stage import Stage

BATCH = 50
AGAIN_AFTER = 0.05


def failures() -> Iterator[dict[str, object]]:
    """Failures without end, made from the shipped sample, each with a key of its own."""
    lines = shipped("examples/failures/sample.jsonl").read_bytes().splitlines()
    for number in count():
        item = json.loads(lines[number % len(lines)])
        item["source"] = f"{item.get('source', 'sample')}-{number // len(lines) % 50}"
        item["idempotency_key"] = str(uuid5(NAMESPACE, f"campaign:{number}"))
        yield item


@dataclass
class Feeder:
    """Sends from a thread of its own until `most` failures are sent or `finish` is called.

    `ambiguous` counts the batches that were not surely taken, and sent again with the same keys; `calls` has the
    seconds of every call.
    """

    stage: Stage
    most: int | None = None
    pause: float = 0.0
    sent: int = 0
    ambiguous: int = 0
    calls: list[float] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    _enough: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        thread.start()
        return thread

    def finish(self) -> None:
        """No batch after the one that is being sent."""
        self._enough.set()

    def _run(self) -> None:
        items = islice(failures(), self.most)
        while not self._enough.is_set() and (batch := list(islice(items, BATCH))):
            while not self._taken(batch):
                self.ambiguous += 1
                self.done.wait(AGAIN_AFTER)
            self.sent += len(batch)
            self._enough.wait(self.pause)
        self.done.set()

    def _taken(self, batch: list[dict[str, object]]) -> bool:
        began = time.monotonic()
        taken = self.stage.post(batch)
        self.calls.append(time.monotonic() - began)
        return taken
