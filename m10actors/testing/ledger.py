"""The ledger of a receiver: what came in, counted outside the system under test, and the comparison with its outbox.

A receiver enters a request before it answers it, so whatever the sender believes to be delivered stands here. With a
file the ledger survives the death of every process, its own included (not of the machine: nothing is fsynced).
"""

import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request and the status it was answered with.

    `body` is the SHA-256 of its body in hexadecimal, `at` is in seconds of the epoch, `token` fences.
    """

    key: str | None
    body: str
    status: int
    at: float
    token: int | None

    @property
    def taken(self) -> bool:
        """Whether the receiver took it (2xx): only then has anything happened at its end."""
        return 200 <= self.status < 300


@dataclass(slots=True)
class _Entry:
    body: str
    taken: int = 0
    changed: bool = False


class Ledger:
    """Counts receipts by Idempotency-Key; thread-safe.

    With `path`, each receipt is also a line of that file, and a ledger opened on the same file continues it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self.total = 0
        self.without_key = 0
        self._file = None if path is None else self._reopened(path)

    def record(self, receipt: Receipt) -> int:
        """Enters `receipt`; returns how often its key has been taken by now, this time included (0 without a key)."""
        line = json.dumps(asdict(receipt)).encode() + b"\n"
        with self._lock:
            if self._file is not None:
                os.write(self._file, line)
            return self._count(receipt)

    def keys(self) -> frozenset[str]:
        """Every key that came, taken or not."""
        return self._where(lambda _: True)

    def taken(self) -> frozenset[str]:
        """The keys that were taken at least once."""
        return self._where(lambda entry: entry.taken > 0)

    def repeated(self) -> frozenset[str]:
        """The keys that were taken more than once."""
        return self._where(lambda entry: entry.taken > 1)

    def changed(self) -> frozenset[str]:
        """The keys that came with more than one body."""
        return self._where(lambda entry: entry.changed)

    def close(self) -> None:
        """Closes the file; what was counted can still be asked."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(self, receipt: Receipt) -> int:
        self.total += 1
        if receipt.key is None:
            self.without_key += 1
            return 0
        entry = self._entries.setdefault(receipt.key, _Entry(receipt.body))
        entry.taken += receipt.taken
        entry.changed |= receipt.body != entry.body
        return entry.taken

    def _where(self, holds: Callable[[_Entry], bool]) -> frozenset[str]:
        with self._lock:
            return frozenset(key for key, entry in self._entries.items() if holds(entry))

    def _reopened(self, path: Path) -> int:
        """Counts what the file holds and opens it for more; a last line that was cut off in writing is dropped."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        whole = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._count(Receipt(**json.loads(line)))
                whole += len(line)
        os.ftruncate(file, whole)
        return file


@dataclass(frozen=True, slots=True)
class Account:
    """What ledger and outbox say about each other, as sorted keys; `received_twice` is no fault of at-least-once."""

    never_received: tuple[str, ...]
    phantoms: tuple[str, ...]
    changed: tuple[str, ...]
    received_twice: tuple[str, ...]
    without_key: int

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, invented or altered."""
        return not (self.never_received or self.phantoms or self.changed or self.without_key)


def compare(ledger: Ledger, events: Iterable[tuple[str, bool, bool]]) -> Account:
    """Holds `ledger` against the rows of an outbox: (idempotency_key, processed, dead).

    never_received: processed, but not dead, and yet never taken by the receiver. phantoms: received, but of no row.
    """
    known, delivered = set(), set()
    for key, processed, dead in events:
        known.add(key)
        if processed and not dead:
            delivered.add(key)
    return Account(
        never_received=tuple(sorted(delivered - ledger.taken())),
        phantoms=tuple(sorted(ledger.keys() - known)),
        changed=tuple(sorted(ledger.changed())),
        received_twice=tuple(sorted(ledger.repeated())),
        without_key=ledger.without_key,
    )
