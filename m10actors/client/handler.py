"""Log records as failures: `logging.getLogger().addHandler(RecoveryHandler(client))`."""

import logging
from typing import Final

from m10actors.client import seen
from m10actors.client.capturing import Capturing
from m10actors.client.dispatcher import THREADS
from m10actors.client.voice import LOGGER

_OWN: Final = (LOGGER, "httpx", "httpcore")


class RecoveryHandler(logging.Handler):
    """Captures each record from `level` on; one with an exception as that exception. Never raises, waits for nothing.

    Records of the client's own threads, and of the library that sends, are left out: they would feed themselves.
    """

    def __init__(self, client: Capturing, level: int | str = logging.ERROR) -> None:
        super().__init__(level)
        self._client = client

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if not _is_own(record):
                self._client.take(lambda: seen.of_record(record))
        except Exception:  # noqa: BLE001 (the promise: a line of a log never makes an error)
            self._client.unread()


def _is_own(record: logging.LogRecord) -> bool:
    return (record.threadName or "").startswith(THREADS) or any(
        record.name == name or record.name.startswith(f"{name}.") for name in _OWN
    )
