"""Several events in one request, with a word for each in the answer: the form that both sides share.

{"version": 1, "items": [{"event_id": "…", "idempotency_key": "…", "event_type": "webhook:…", "body": {…}}, …]}
{"items": [{"event_id": "…", "status": 200, "retry_after": "30", "body": {…}}, …]}
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid5

CONTENT_TYPE = "application/vnd.m10.batch+json"
VERSION = 1
_NAMESPACE = UUID("0b3c9a0e-6f0b-5f0e-9a55-0d5a4f3a6b1c")


class NoBatch(ValueError):
    """A body that is no batch; says where."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a batch. `body` is the JSON text that it would be sent with alone."""

    event_id: UUID
    idempotency_key: str
    event_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Word:
    """What the receiver says of one event, as it would answer it alone."""

    status: int
    retry_after: str | None = None
    body: bytes = b""


def batch_id(items: Sequence[Item]) -> UUID:
    """The same for the same events in the same order: the id of the message that is signed."""
    return uuid5(_NAMESPACE, ",".join(str(item.event_id) for item in items))


def batch_key(items: Sequence[Item]) -> str:
    """32 hexadecimal characters, for the header `Idempotency-Key` of the request as a whole."""
    return sha256(",".join(item.idempotency_key for item in items).encode()).hexdigest()[:32]


def encode(items: Iterable[Item]) -> bytes:
    """The body of the request. The bytes of each item's body are untouched."""
    return b'{"version": %d, "items": [%s]}' % (VERSION, b", ".join(_encoded(item) for item in items))


def decode(body: bytes) -> list[Item]:
    """What `encode` made, but for the blanks in bodies; NoBatch for anything else."""
    match _read(body):
        case {"version": 1, "items": [*items]}:
            return [_decoded(item, at) for at, item in enumerate(items)]
        case {"version": other} if other != VERSION:
            raise NoBatch(f"version: expected {VERSION}")
        case _:
            raise NoBatch("expected an object with version and items")


def encode_words(words: Mapping[UUID, Word]) -> bytes:
    """The body of the answer."""
    return json.dumps({"items": [_word(event_id, word) for event_id, word in words.items()]}).encode()


def decode_words(body: bytes) -> dict[UUID, Word]:
    """The words of an answer that can be understood; of events that it says nothing proper of there is none."""
    try:
        answer = _read(body)
    except NoBatch:
        return {}
    items = answer.get("items") if isinstance(answer, dict) else None
    found: dict[UUID, Word] = {}
    for item in items if isinstance(items, list) else []:
        match item:
            case {"event_id": str(text), "status": int(status)} if 100 <= status <= 599 and (known := _uuid(text)):
                asked = item.get("retry_after")
                found[known] = Word(
                    status, str(asked) if isinstance(asked, str | int) else None, json.dumps(item.get("body")).encode()
                )
    return found


def _encoded(item: Item) -> bytes:
    told = {
        "event_id": str(item.event_id),
        "idempotency_key": item.idempotency_key,
        "event_type": item.event_type,
    }
    return json.dumps(told).encode()[:-1] + b', "body": ' + item.body + b"}"


def _decoded(item: object, at: int) -> Item:
    match item:
        case {"event_id": str(text), "idempotency_key": str(key), "event_type": str(kind), "body": body}:
            if known := _uuid(text):
                return Item(known, key, kind, json.dumps(body).encode())
    raise NoBatch(f"items.{at}: expected event_id (a UUID), idempotency_key, event_type and body")


def _word(event_id: UUID, word: Word) -> dict[str, object]:
    said: dict[str, object] = {"event_id": str(event_id), "status": word.status}
    if word.retry_after is not None:
        said["retry_after"] = word.retry_after
    if word.body:
        said["body"] = json.loads(word.body)
    return said


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoBatch("expected JSON") from error


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
