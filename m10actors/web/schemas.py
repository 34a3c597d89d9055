"""JSON schemas of the request bodies that are read raw, for the published description. What is checked, and said when
it is wrong, is in `recovery.failure` and `adapters`.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from m10actors.recovery.decoding import MAX_BATCH_ITEMS
from m10actors.recovery.failure import (
    MAX_CODE_LENGTH,
    MAX_IDEMPOTENCY_KEY_BYTES,
    MAX_SIGNATURE_BYTES,
    MAX_SOURCE_LENGTH,
)

Schema: TypeAlias = dict[str, Any]


def _text(longest: int | None = None, **more: str) -> Schema:
    return {"type": ["string", "null"], **({"maxLength": longest} if longest else {}), **more}


_PAYLOAD: Final = {
    **{name: _text(MAX_CODE_LENGTH) for name in ("error_type", "error_code")},
    **{name: _text() for name in ("raw", "error_message", "message")},
    "meta": {"type": ["object", "null"]},
}
_ENVELOPE: Final = {
    "failure_match_id": _text(format="uuid"),
    "error_signature": _text(MAX_SIGNATURE_BYTES),
    "source": _text(MAX_SOURCE_LENGTH),
    "idempotency_key": _text(MAX_IDEMPOTENCY_KEY_BYTES),
    "enqueue_evaluation": {"type": ["boolean", "null"], "default": True},
}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}

FAILURE: Final[Schema] = {
    "anyOf": [
        {
            "type": "object",
            "description": "An envelope. The payload has a code or a message; other fields of it are kept.",
            "properties": {**_ENVELOPE, "failure_payload": {"type": "object", "properties": _PAYLOAD}},
            "required": ["failure_payload"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "description": "The fields of the payload themselves, beside those of the envelope.",
            "properties": {**_ENVELOPE, **_PAYLOAD},
        },
    ]
}
FAILURES: Final[Schema] = {"type": "array", "items": FAILURE, "minItems": 1, "maxItems": MAX_BATCH_ITEMS}
NOTIFICATION: Final[Schema] = {
    "type": "object",
    "description": "A notification of Alertmanager's webhook.",
    "properties": {
        "version": {"const": "4"},
        "alerts": {
            "type": "array",
            "maxItems": MAX_BATCH_ITEMS,
            "items": {
                "type": "object",
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": {**_TEXTS, "required": ["alertname"]},
                    "annotations": _TEXTS,
                    "startsAt": {"type": "string", "format": "date-time"},
                    "fingerprint": {"type": "string"},
                },
                "required": ["status", "labels", "startsAt", "fingerprint"],
            },
        },
    },
    "required": ["version", "alerts"],
}
_EVENT: Final = {
    "type": "object",
    "properties": {
        "event_id": {"type": "string"},
        "issue_id": {"type": "string"},
        "metadata": {"type": "object", "properties": {"type": {"type": "string"}, "value": {"type": "string"}}},
        "title": {"type": "string"},
        "tags": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        },
    },
}
SENTRY_HOOK: Final[Schema] = {
    "type": "object",
    "description": "A webhook of Sentry's integration platform; which object `data` has depends on the resource.",
    "properties": {
        "action": {"type": "string"},
        "data": {"type": "object", "properties": {"event": _EVENT, "error": _EVENT, "issue": {"type": "object"}}},
    },
    "required": ["action", "data"],
}


def accepts(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """For `openapi_extra` of a route: the schema of its body by media type."""
    content = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}
