"""Malformed stream entries, as a foreign producer might send them: each has to end as a dead letter with a reason."""

from datetime import timedelta

from m10actors.streams import RedisClient

MALFORMED: tuple[tuple[bytes, ...], ...] = (
    (b"candidate_id", b"abc"),
    (b"something", b"else"),
    (b"candidate_id", b"7", b"metadata", b"\xff\xfe"),
)


def plant_malformed(redis_url: str, stream: str) -> int:
    """Adds one entry of each kind; how many."""
    client = RedisClient(redis_url, timeout=timedelta(seconds=2), connections=1)
    for fields in MALFORMED:
        client.call("XADD", stream, "*", *fields)
    client.close()
    return len(MALFORMED)
