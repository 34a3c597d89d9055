"""What can go wrong with the embedded servers. The text of each is what an operator should read."""

import errno
import os
from pathlib import Path

_SHORTAGES = (
    errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS, errno.EACCES,
)  # fmt: skip


class EmbeddedError(Exception):
    """The embedded servers cannot do what was asked; the text says why and, where there is a way out, which."""


class ServerEnded(EmbeddedError):
    """A server ended while it started: what it runs on is damaged, or the machine is short of something."""

    @property
    def is_of_the_machine(self) -> bool:
        """Whether it named something that the machine refused, such as space: its data may be whole."""
        return any(os.strerror(number) in str(self) for number in _SHORTAGES)


class DataFolderInUse(EmbeddedError):
    """Another process runs on this data folder: use that one, or take another folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.folder = folder
        self.pid = pid
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(f"the data folder {folder} is in use by {owner}: use that one, or another folder")
