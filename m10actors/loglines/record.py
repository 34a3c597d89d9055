"""What a line that begins a record says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """The first line of a record, taken apart; None for what it does not say.

    `level`: the word as it stands there, in capitals. `source`: who reports, where the shape says that it is that.
    `details`: text that came in fields of its own and belongs to the failure, such as a stack trace in a JSON line.
    """

    message: str
    level: str | None = None
    logger: str | None = None
    time: str | None = None
    source: str | None = None
    details: str = ""
