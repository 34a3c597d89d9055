"""Listening sockets: bound here and handed to the server, so that what is in the way is known before anything runs."""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 512
_UNSENT_MS = 30_000
_PROBE_SECONDS = 1.0


class CannotListen(Exception):
    """The address cannot be listened at."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen at {address}: {reason}")
        self.address = address


class PortInUse(CannotListen):
    """Somebody else listens at the address already."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "it is in use")


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP address; port 0 lets the system choose. Where it is taken, up to `spare_ports` next ones are tried."""

    host: str
    port: int
    spare_ports: int = 0

    def bind(self) -> "Bound":
        """Raises PortInUse or CannotListen."""
        for port in range(self.port, min(self.port + self.spare_ports, 65_535) + 1):
            with suppress(PortInUse):
                return self._bind(port)
        raise PortInUse(_written(self.host, self.port))

    def _bind(self, port: int) -> "Bound":
        address = _written(self.host, port)
        try:
            found = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, place = found[0]
            listening = socket.create_server(place[:2], family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(address) from error
            raise CannotListen(address, error.strerror or "the host is not known") from error
        # Every connection takes these over: a caller that reads no answer, or is gone without a word, does not stay for
        # ever; and the second piece of an answer does not wait 40 ms for the delayed acknowledgement of the first
        # (asyncio sees to that only where the socket was made with its protocol number).
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT_MS)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Bound(listening, _written(self.host, listening.getsockname()[1]))


@dataclass(frozen=True, slots=True)
class Unix:
    """A Unix socket that only this user can connect to; its folder is made where it is missing."""

    path: Path

    def bind(self) -> "Bound":
        """Takes the place of a socket that nobody listens at any more. Raises PortInUse or CannotListen."""
        address = f"unix:{self.path}"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone_in(self.path.parent):
                self._clear()
                listening.bind(str(self.path))
                self.path.chmod(0o600)  # nobody could connect in between: it does not listen yet
                listening.listen(BACKLOG)
            return Bound(listening, address, self.path, self.path.lstat().st_ino)
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(address) from error
            raise CannotListen(address, error.strerror or str(error)) from error

    def _clear(self) -> None:
        """Removes what a dead process left at the path."""
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise OSError(errno.EEXIST, "something that is no socket has this name")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_SECONDS)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                self.path.unlink(missing_ok=True)
                return
            except TimeoutError:
                pass  # its backlog is full: somebody lives there
        raise OSError(errno.EADDRINUSE, "somebody listens there")


@dataclass(slots=True)
class Bound:
    """A socket that listens; `address` is `host:port` or `unix:PATH`."""

    socket: socket.socket
    address: str
    path: Path | None = None
    inode: int = 0

    def close(self) -> None:
        """Lets go of the address, also while a server that hangs still holds it."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self.path is not None:
            with suppress(FileNotFoundError), _alone_in(self.path.parent):
                if self.path.lstat().st_ino == self.inode:
                    self.path.unlink()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two processes that start at once must not remove each other's new socket for an old one."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
