"""Stream entries as values: what we write, what we read, and what we refuse. Pure.

Whoever may XADD can put anything there, so an entry is untrusted input: it is taken apart field by field, as bytes, and
what does not fit becomes a `BadEntry` with a reason. Nothing here raises on what was read.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

MAX_ENTRY_BYTES: Final = 256 * 1024
"""Names and values of one entry together: the largest body that ingest takes."""

MAX_CANDIDATE_ID: Final = 2**63 - 1
MAX_GENERATION: Final = 2**31 - 1
LONGEST_KEPT: Final = 64 * 1024

Fields = Mapping[bytes, bytes]


class Message(NamedTuple):
    """One generation of a candidate that is due: the producer's side of an entry."""

    candidate_id: int
    generation: int
    enqueued_at: datetime
    priority: int = 0
    metadata: str = "{}"
    idempotency_key: str | None = None
    replayed_from_dl: str | None = None
    replayed_at: datetime | None = None

    @property
    def message_id(self) -> str:
        """`<candidate_id>:<generation>`: the same for the same work on every way to a worker."""
        return f"{self.candidate_id}:{self.generation}"


class Entry(Struct, frozen=True):
    """A well-formed entry. `generation` is None where a foreign producer sent only candidate_id: the one that is due.

    `fields` are all of its fields, unread: hints of the producer, and what a dead letter keeps.
    """

    entry_id: bytes
    candidate_id: int
    generation: int | None
    fields: Fields


class BadReason(StrEnum):
    """Why an entry cannot be worked on; a closed set, fit for a metric's label."""

    TOMBSTONE = "tombstone"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    MISSING_CANDIDATE_ID = "missing_candidate_id"
    BAD_CANDIDATE_ID = "bad_candidate_id"
    BAD_MESSAGE_ID = "bad_message_id"
    REPEATED_FIELD = "repeated_field"


class BadEntry(Struct, frozen=True):
    """An entry to be dead-lettered; a tombstone (deleted while pending, no fields left) is only acknowledged."""

    entry_id: bytes
    reason: BadReason
    fields: Fields


def encode(message: Message) -> list[str]:
    """The alternating names and values of a message's entry."""
    flat = [
        "candidate_id", str(message.candidate_id),
        "message_id", message.message_id,
        "priority", str(message.priority),
        "enqueued_at", timestamp(message.enqueued_at),
        "metadata", message.metadata,
        "idempotency_key", message.idempotency_key or "",
    ]  # fmt: skip
    if message.replayed_from_dl is not None:
        flat += ["replayed_from_dl", message.replayed_from_dl]
    if message.replayed_at is not None:
        flat += ["replayed_at", timestamp(message.replayed_at)]
    return flat


def decode(entry_id: bytes, flat: Sequence[bytes] | None) -> Entry | BadEntry:
    """The entry that came as an id and alternating names and values; no fields: it was deleted while pending."""
    if not flat:
        return BadEntry(entry_id, BadReason.TOMBSTONE, {})
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    if len(fields) < len(flat) // 2:
        return BadEntry(entry_id, BadReason.REPEATED_FIELD, all_fields(flat))
    # The spaces end every UTF-8 sequence: parts that are not valid cannot make up valid text together.
    text = b" ".join(flat)
    identity: tuple[int, int | None] | BadReason
    if len(text) > MAX_ENTRY_BYTES:
        identity = BadReason.TOO_LARGE
    elif not (text.isascii() or _is_utf8(text)):
        identity = BadReason.NOT_UTF8
    else:
        identity = _identity(fields)
    if isinstance(identity, BadReason):
        return BadEntry(entry_id, identity, fields)
    return Entry(entry_id, *identity, fields)


def as_json(fields: Fields) -> dict[str, object]:
    """Any fields as JSON and jsonb can hold them: text as it is, all else as base64 with its length, cut at 64 kB.

    In names a backslash is doubled and other bytes are written `\\xff`, so that no two names become one.
    """
    return {
        name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace").replace("\0", "\\x00"): _json_value(value)
        for name, value in fields.items()
    }


def all_fields(flat: Sequence[bytes]) -> Fields:
    """Every field; a name that stands again gets a number, so that no value is lost."""
    fields: dict[bytes, bytes] = {}
    times: Counter[bytes] = Counter()
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        times[name] += 1
        numbered = name
        while numbered in fields:
            numbered = b"%s #%d" % (name, times[name])
            times[name] += 1
        fields[numbered] = value
    return fields


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat()


def _identity(fields: Fields) -> tuple[int, int | None] | BadReason:
    owner = fields.get(b"candidate_id")
    if owner is None:
        return BadReason.MISSING_CANDIDATE_ID
    candidate_id = _positive(owner, MAX_CANDIDATE_ID)
    if candidate_id is None:
        return BadReason.BAD_CANDIDATE_ID
    message_id = fields.get(b"message_id")
    if message_id is None:
        return candidate_id, None
    named, _, number = message_id.partition(b":")
    generation = _positive(number, MAX_GENERATION)
    if generation is None or named != owner:
        return BadReason.BAD_MESSAGE_ID
    return candidate_id, generation


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _positive(digits: bytes, most: int) -> int | None:
    if not digits.isdigit() or len(digits) > 19:
        return None
    number = int(digits)
    return number if 1 <= number <= most else None


def _json_value(value: bytes) -> object:
    if len(value) <= LONGEST_KEPT and b"\0" not in value and _is_utf8(value):
        return value.decode()
    return {"base64": b64encode(value[:LONGEST_KEPT]).decode(), "bytes": len(value)}
