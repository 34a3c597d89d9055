"""Standard Webhooks signatures (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks.webhooks import Webhook


def signature_headers(secrets: Iterable[str], event_uuid: UUID, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers, with one signature for each secret; none at all without a secret. `body` is UTF-8."""
    message_id, sent_at = str(event_uuid), now.astimezone(UTC)
    signatures = [Webhook(secret).sign(message_id, sent_at, body.decode()) for secret in secrets]
    if not signatures:
        return {}
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
