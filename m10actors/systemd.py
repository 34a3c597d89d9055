"""What the service manager is told: the protocol of sd_notify(3), one datagram for each message.

Where none listens nothing is sent, and a message that cannot be sent changes nothing: the service works either way.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

from m10actors import logs

log = logs.logger(__name__)

_SEND_SECONDS = 1.0


class ServiceManager:
    """The one that started us, at the address of NOTIFY_SOCKET: a path, or `@name` in the abstract namespace.

    `watchdog` is the time, in seconds, in which it expects a sign of progress (WATCHDOG_USEC); None if it expects none.
    """

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """Takes the variables out, so that no process that we start speaks for us."""
        address, period, pid = (environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        if address and not address.startswith(("/", "@")):
            log.warning("service_manager_unreachable", address=address, error="neither a path nor an abstract name")
            address = ""
        is_meant = bool(address) and period.isdecimal() and int(period) > 0 and pid in {"", str(os.getpid())}
        return cls(address, int(period) / 1e6 if is_meant else None)

    @property
    def listens(self) -> bool:
        return bool(self._address)

    def ready(self, status: str) -> None:
        """The start, or a reload, is done."""
        self._status = status
        self._send("READY=1", f"STATUS={logs.escape(status)}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """The end begins."""
        self._send("STOPPING=1", f"STATUS={logs.escape(status)}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`, sent when it has changed."""
        if status != self._status:
            self._status = status
            self._send(f"STATUS={logs.escape(status)}")

    def alive(self) -> None:
        """A sign of progress."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
                wire.settimeout(_SEND_SECONDS)
                wire.connect(self._address)
                wire.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("service_manager_unreachable", address=self._address.replace("\0", "@"), error=error)
