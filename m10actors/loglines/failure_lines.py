"""A failure of a log as it is put together: its first line taken apart, the lines that belong to it, the item."""

from dataclasses import dataclass, field
from typing import Final

from m10actors.lines import Reported
from m10actors.loglines.error_type import error_type
from m10actors.loglines.heads import is_uncaught
from m10actors.loglines.record import Record
from m10actors.loglines.stack import raised
from m10actors.recovery.failure import MAX_SOURCE_LENGTH, parse

MAX_JOINED_LINES: Final = 1_000
MAX_JOINED_BYTES: Final = 24 * 1024
MAX_MESSAGE_BYTES: Final = 8 * 1024
"""Together within MAX_BODY_BYTES even where JSON writes each byte with six."""

_MAX_NAME_LENGTH = 200


@dataclass(slots=True)
class OpenFailure:
    """A failure that may go on with the next line.

    `source` stands where the record names none. `is_report`: a runtime printed it by itself.
    """

    number: int
    raw: bytes
    key: str
    record: Record
    source: str
    is_report: bool = False
    _joined: list[str] = field(default_factory=list)
    _joined_bytes: int = 0

    def join(self, text: str) -> None:
        """Adds a line that belongs to it."""
        self._joined.append(text)
        self._joined_bytes += len(text.encode()) + 1

    @property
    def is_full(self) -> bool:
        """Whether it takes no more lines."""
        return len(self._joined) >= MAX_JOINED_LINES or self._joined_bytes >= MAX_JOINED_BYTES

    def closed(self) -> Reported:
        """The failure as the API takes it; InvalidFailure if it cannot be stored."""
        record = self.record
        stack = [*record.details.splitlines(), *self._joined]
        exception = raised(record.message, stack)
        message = record.message
        if exception and exception.line != message and is_uncaught(message):
            stack, message = [message, *stack], exception.line
        message = _clipped(message, MAX_MESSAGE_BYTES)
        meta = {
            "level": record.level,
            "logger": _name(record.logger),
            "time": _name(record.time),
            "exception": _name(exception.name) if exception else None,
            "root_cause": _name(exception.cause) if exception else None,
            "stack": _clipped("\n".join(stack).rstrip(), MAX_JOINED_BYTES) or None,
        }
        item: dict[str, object] = {
            "failure_payload": {
                "error_type": error_type(exception, message),
                "raw": message,
                "meta": {name: value for name, value in meta.items() if value},
            },
            "source": (record.source or "").strip()[:MAX_SOURCE_LENGTH] or self.source,
            "idempotency_key": self.key,
        }
        return Reported(self.number, self.raw, item, parse(item), lines=1 + len(self._joined))


def _name(text: str | None) -> str | None:
    return text and text[:_MAX_NAME_LENGTH]


def _clipped(text: str, most_bytes: int) -> str:
    """The beginning of `text`, cut between characters."""
    return text if len(text) * 4 <= most_bytes else text.encode()[:most_bytes].decode(errors="ignore")
