"""What a client says in the log of the program that it is a guest in: that something began and that it ended, once."""

import logging
from typing import Final

from m10actors import logs
from m10actors.client.errors import ClientError
from m10actors.client.results import Rejected

LOGGER: Final = "m10actors.client"
_logger = logging.getLogger(LOGGER)


class Voice:
    """For the threads of one client."""

    def __init__(self) -> None:
        self._server_is_away = False
        self._disk_is_away = False
        self._said: set[str] = set()

    def server_refused(self, error: ClientError) -> None:
        if not self._server_is_away:
            self._server_is_away = True
            _logger.warning("captured failures are kept and sent later: %s", logs.escape(str(error)))

    def server_took(self) -> None:
        if self._server_is_away:
            self._server_is_away = False
            _logger.info("captured failures are sent again")

    def disk_refused(self, error: OSError) -> None:
        if not self._disk_is_away:
            self._disk_is_away = True
            _logger.warning("captured failures are kept in memory only: %s (%s)", error.strerror, error.filename)

    def disk_took(self) -> None:
        if self._disk_is_away:
            self._disk_is_away = False
            _logger.info("captured failures are kept on disk again")

    def rejected(self, first: Rejected) -> None:
        self._once("rejected", "a captured failure was refused: %s", "; ".join(map(str, first.problems)))

    def bug(self, error: Exception) -> None:
        self._once("bug", "captured failures wait because of an error of the client: %s", repr(error))

    def _once(self, kind: str, text: str, detail: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            _logger.warning(text, logs.escape(detail))
