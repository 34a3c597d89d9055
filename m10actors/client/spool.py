"""Failures on disk while their server is away: append-only segments in a folder that any number of processes share."""

import errno
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from m10actors.client.segment import SUFFIX, Segment

SEGMENT_BYTES: Final = 1024 * 1024
MAX_LINES: Final = 500
MAX_LINES_BYTES: Final = 2 * 1024 * 1024


class Spool:
    """One thread appends, one sends; both call under the lock, neither holds it while it waits for a network.

    A crash costs at most a segment sent again, under the same keys. `max_bytes` bounds the folder, whoever wrote it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._segments: list[Segment] = []
        self._active: Segment | None = None
        self._peeked: tuple[Segment, int, int] | None = None
        self._irremovable: list[Segment] = []
        self.torn = 0

    @property
    def waiting(self) -> int:
        """Lines in the segments that are held here."""
        with self._lock:
            return sum(segment.waiting for segment in self._segments)

    def is_inherited(self) -> bool:
        """Whether others have written here; they may be dead."""
        return bool(self._files())

    def append(self, lines: Sequence[bytes]) -> None:
        """All or none. OSError where the disk, or the spool, has no room or cannot be written."""
        size = sum(map(len, lines))
        with self._lock:
            self._make_room(size)
            if self._active is None or self._active.size + size > SEGMENT_BYTES:
                self._active = Segment.create(self._folder)
                self._segments.append(self._active)
            self._active.append(lines)

    def peek(self) -> list[bytes]:
        """The oldest lines that are not sent; the same again until `discard`. What dead processes left comes last."""
        with self._lock:
            while self._segments or self._adopt():
                segment = self._segments[0]
                lines, taken = segment.next_lines(MAX_LINES, MAX_LINES_BYTES)
                self._peeked = segment, len(lines), taken
                if lines:
                    return lines
                self._discard()
            return []

    def discard(self) -> None:
        """What `peek` gave last is sent."""
        with self._lock:
            self._discard()

    def close(self) -> None:
        """The last call: leaves what is not sent to the next process."""
        with self._lock:
            for segment in self._segments:
                segment.let_go()

    def forget(self) -> None:
        """In a child after fork: the segments belong to the parent, whose lock may be held for ever here."""
        for segment in [*self._segments, *self._irremovable]:
            segment.let_go()

    def _discard(self) -> None:
        assert self._peeked is not None, "peek comes before discard"
        segment, lines, taken = self._peeked
        segment.sent(lines, taken)
        if segment.is_sent:
            self._segments.remove(segment)
            self._active = None if segment is self._active else self._active
            try:
                segment.remove()
            except OSError:
                self._irremovable.append(segment)  # held for as long as we live, so that nobody sends it again

    def _adopt(self) -> bool:
        for path in self._files():
            if segment := Segment.adopt(path):
                self._segments.append(segment)
                self.torn += segment.torn
                return True
        return False

    def _make_room(self, size: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self._folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the spool is no folder of this user", str(self._folder))
        if self._held_bytes() + size > self._max_bytes:
            raise OSError(errno.ENOSPC, "the spool has as much as it may have", str(self._folder))

    def _held_bytes(self) -> int:
        held = 0
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # sent meanwhile, by another process
                held += path.lstat().st_size
        return held

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == SUFFIX and path.name[0] != ".")
        except OSError:
            return []
