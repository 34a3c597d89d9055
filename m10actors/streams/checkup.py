"""Whether a server is fit to hold the queue: looked at when it comes up, and by `m10 doctor --redis`.

Nothing here is needed for anything to be right: PostgreSQL is the record. What does not fit costs time, and is said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from m10actors.redis_address import Form
from m10actors.streams.client import RedisClient
from m10actors.streams.errors import RedisMisconfigured

OLDEST: Final = (6, 2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One look. `fits` is None where it could not be told."""

    check: str
    found: str
    expected: str
    fits: bool | None
    consequence: str


def checkup(client: RedisClient) -> list[Finding]:
    """Every look there is; StreamsError if the server cannot be asked. Without the right to INFO nothing can be told,
    without that to CONFIG GET only whether it takes snapshots.
    """
    try:
        info = _fields(client.call("INFO"))
    except RedisMisconfigured:
        return [Finding("INFO", "not permitted", "permitted", None, "the server cannot be looked at")]
    return judged(info, client.form, info.get("aof_enabled") == "1" or _snapshots(client))


def judged(info: Mapping[str, str], form: Form, persists: bool | None) -> list[Finding]:
    """What the fields of INFO mean. `persists`: whether the data outlives a restart; None where we may not ask."""
    return [_version(info), _role(info), _mode(info, form), _eviction(info), _persistence(persists)]


def _snapshots(client: RedisClient) -> bool | None:
    try:
        return bool(client.call("CONFIG", "GET", "save")[1])
    except RedisMisconfigured:
        return None


def _version(info: Mapping[str, str]) -> Finding:
    version = info.get("redis_version", "")
    numbers = tuple(map(int, re.findall("[0-9]+", version)[:2]))
    name = info.get("server_name", "redis")
    own = info.get(f"{name}_version", version)
    return Finding(
        "version",
        f"{name} {own}",
        "Redis 6.2 or newer, or Valkey",
        numbers >= OLDEST if numbers else None,
        "commands that the queue needs are missing: all work goes through PostgreSQL",
    )


def _role(info: Mapping[str, str]) -> Finding:
    role = info.get("role", "")
    return Finding(
        "role", role, "master", role == "master" if role else None, "it takes no writes: name the primary in redis.url"
    )


def _mode(info: Mapping[str, str], form: Form) -> Finding:
    mode = info.get("redis_mode") or info.get("server_mode", "")  # Valkey's own name for it
    expected = "cluster" if form is Form.CLUSTER else "standalone"
    advice = (
        "redis.url names a Cluster, and this is none"
        if form is Form.CLUSTER
        else "the slot of the stream may move to another node, which is not followed: use redis+cluster://"
    )
    return Finding("mode", mode, expected, mode == expected if mode else None, advice)


def _eviction(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "")
    return Finding(
        "maxmemory-policy",
        policy,
        "noeviction",
        policy == "noeviction" if policy else None,
        "a full server may throw the stream away, and its work waits for the sweep",
    )


def _persistence(persists: bool | None) -> Finding:
    return Finding(
        "persistence",
        {True: "on", False: "off", None: "not told: no append-only file, and CONFIG GET save is not permitted"}[
            persists
        ],
        "an append-only file or snapshots",
        persists,
        "what lies in the stream is gone with a restart, and its work waits for the sweep",
    )


def _fields(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.partition(":")[::2] for line in lines if ":" in line)
