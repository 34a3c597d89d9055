"""A reported failure: from a JSON object of a request or a line to a value with an identity."""

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from uuid import UUID, uuid5

from m10actors.recovery.content import content_problems
from m10actors.recovery.decoding import MAX_BODY_BYTES, MAX_PROBLEMS, refuse
from m10actors.recovery.fields import Fields, as_uuid
from m10actors.recovery.fingerprint import NAMESPACE, SIGNATURE_LENGTH, fingerprint, match_id, signature
from m10actors.recovery.problems import Code, InvalidFailure, Problem

UNKNOWN_CODE = "UNKNOWN"
MAX_SOURCE_LENGTH = 100
MAX_CODE_LENGTH = 200
MAX_SIGNATURE_BYTES = 200
MAX_IDEMPOTENCY_KEY_BYTES = 512
MAX_MESSAGE_BYTES = 64 * 1024

_ENVELOPE = (
    "failure_match_id",
    "error_signature",
    "failure_payload",
    "source",
    "idempotency_key",
    "enqueue_evaluation",
)
_CODES = ("error_type", "error_code")
_MESSAGES = ("raw", "error_message", "message")
_SAYS_WHAT = frozenset(_CODES + _MESSAGES)
_STACKS = ("stack", "traceback", "stacktrace", "stack_trace")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure as reported, checked, and with its identity: the pair of failure_match_id and error_signature.

    `payload` is the failure_payload as it came, with the fields that we do not know; `payload_hash` the SHA-256 of all
    that the caller sent about the failure, so that an idempotency key that comes again with something else can be told.
    """

    failure_match_id: UUID
    error_signature: str
    error_code: str
    error_message: str
    source: str
    fingerprint: str
    idempotency_key: UUID | None
    payload_hash: bytes
    enqueue_evaluation: bool
    payload: dict[str, object]


def parse(item: object, *, default_source: str = "api") -> Failure:
    """The failure in one request body or JSON line; InvalidFailure with everything that is wrong with it.

    Two forms: the envelope `{"failure_payload": {…}, "source"?, "failure_match_id"?, "error_signature"?,
    "idempotency_key"?, "enqueue_evaluation"?}`, and the flat form, which has no failure_payload but one of its fields
    (error_type, error_code, raw, error_message, message) beside those: then every field that is not the envelope's
    belongs to the payload.

    The code is the first of error_type and error_code that is there, the message the first of raw, error_message and
    message. A stack trace beside it (stack, traceback, stacktrace or stack_trace, of meta or of the payload) takes part
    in the fingerprint. A payload without a code is UNKNOWN; one with neither a code nor a message is refused. JSON null
    is the same as an absent field. Unknown fields are kept in the payload and refused in an envelope.
    """
    if not isinstance(item, dict):
        raise InvalidFailure(Problem(Code.OBJECT_EXPECTED, "", "a failure is a JSON object"))
    problems = list(content_problems(item))
    envelope = Fields(item, problems)
    payload = _payload(item, envelope)
    if payload is None:
        raise InvalidFailure(*problems[:MAX_PROBLEMS])
    inside = Fields(payload, problems, prefix="failure_payload." if "failure_payload" in item else "")
    code, message = _code_and_message(inside)
    meta = inside.mapping("meta")
    sent_match_id = envelope.uuid("failure_match_id")
    sent_signature = envelope.text("error_signature", max_bytes=MAX_SIGNATURE_BYTES)
    source = envelope.text("source", max_length=MAX_SOURCE_LENGTH) or default_source
    key = envelope.text("idempotency_key", max_bytes=MAX_IDEMPOTENCY_KEY_BYTES)
    enqueue = envelope.boolean("enqueue_evaluation", default=True)
    refuse(problems)

    digest = fingerprint(code, message, _stack(meta or {}, payload))
    derived_signature = digest[:SIGNATURE_LENGTH] if sent_match_id is None else signature(code, message)
    return Failure(
        failure_match_id=sent_match_id or match_id(source, digest),
        error_signature=sent_signature or derived_signature,
        error_code=code,
        error_message=message,
        source=source,
        fingerprint=digest,
        idempotency_key=None if key is None else key_from(key),
        payload_hash=_hash(sent_match_id, sent_signature, source, payload),
        enqueue_evaluation=enqueue,
        payload=payload,
    )


def key_from(text: str) -> UUID:
    """The key that a caller's text stands for: a UUID is itself, other text a UUIDv5 of its NFC form, byte for byte."""
    return as_uuid(text) or uuid5(NAMESPACE, unicodedata.normalize("NFC", text))


def _payload(item: dict[str, object], envelope: Fields) -> dict[str, object] | None:
    """The payload of either form; None where there is none, with the problem noted."""
    if "failure_payload" not in item and not _SAYS_WHAT.isdisjoint(item):
        return {name: value for name, value in item.items() if name not in _ENVELOPE}
    envelope.only(_ENVELOPE)
    if item.get("failure_payload") is None:
        envelope.note("failure_payload", Code.MISSING_FIELD, "is missing")
    return envelope.mapping("failure_payload")


def _code_and_message(inside: Fields) -> tuple[str, str]:
    """What the payload says went wrong; notes where that is nothing."""
    code = inside.text(*_CODES, max_length=MAX_CODE_LENGTH)
    message = inside.any_text(*_MESSAGES) or ""
    if not code and not message.strip() and inside.are_empty(*_CODES, *_MESSAGES):
        inside.note("error_type", Code.MISSING_FIELD, "is missing, and there is no message either")
    return code or UNKNOWN_CODE, _clipped(message)


def _stack(*places: dict[str, object]) -> str:
    """The stack trace that came beside the message: the first text under one of its names."""
    for place in places:
        for name in _STACKS:
            if isinstance(text := place.get(name), str):
                return _clipped(text)
    return ""


def _clipped(message: str) -> str:
    """At most MAX_MESSAGE_BYTES of UTF-8, cut between characters."""
    if len(message) * 4 <= MAX_MESSAGE_BYTES:
        return message
    return message.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")


def _hash(sent_match_id: UUID | None, sent_signature: str | None, source: str, payload: dict[str, object]) -> bytes:
    """SHA-256 of the canonical JSON (sorted keys, no spaces) of what was sent.

    Not of what we derive from it, which a new version may derive otherwise.
    """
    sent = [sent_match_id and str(sent_match_id), sent_signature, source, payload]
    canonical = _CANONICAL.encode(sent).encode()
    if len(canonical) > MAX_BODY_BYTES:
        raise InvalidFailure(Problem(Code.TOO_LARGE, "", f"has more than {MAX_BODY_BYTES} bytes"))
    return hashlib.sha256(canonical).digest()
