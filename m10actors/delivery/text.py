"""Foreign text made fit for a log line and a column: cut, escaped, without the credentials that were sent."""

from collections.abc import Iterable

LIMIT = 200


def excerpt(raw: bytes | str, hidden: Iterable[str] = ()) -> str:
    """At most 200 printable characters of what a receiver said; each text of `hidden` that it echoes becomes ***."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "***")
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:LIMIT])
    return escaped[:LIMIT]
