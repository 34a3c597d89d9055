"""The two stores: PostgreSQL, which is the truth, and Redis, which is the fast path."""

from typing import Annotated, Literal

from pydantic import Field

from m10actors.config.durations import duration
from m10actors.config.kinds import Count, Duration, Env, PostgresUrl, RedisUrl, Says, SecretUrl, Section, Text


class Database(Section):
    """PostgreSQL: one address per role, each falling back to `url`."""

    url: Annotated[PostgresUrl | None, Env("DATABASE_URL")] = None
    """Address as `m10_app`, the role of the pipeline."""
    ops_url: Annotated[PostgresUrl | None, Env("M10_OPS_DATABASE_URL")] = None
    """Address as `m10_ops`, for operations jobs, replay and audit; by default `url`."""
    metrics_url: Annotated[PostgresUrl | None, Env("M10_METRICS_DATABASE_URL")] = None
    """Address as `m10_metrics`, for the metrics collector; by default `url`."""
    migrate_url: Annotated[PostgresUrl | None, Env("M10_MIGRATE_DATABASE_URL")] = None
    """Address as a role that may become `m10_owner`, for `m10 migrate`; by default `url`."""
    pool_size: Annotated[int, Field(ge=1, le=1000)] = 10
    """Connections of the pipeline; every claim worker holds one, intake two, ingest takes the rest."""
    ops_pool_size: Annotated[int, Field(ge=1, le=100)] = 4
    """Connections of operations jobs and verbs."""
    connect_timeout: Duration = duration("2s")
    """Longest wait for a new connection."""
    checkout_timeout: Duration = duration("3s")
    """Longest wait for a free connection of the pool."""
    call_timeout: Duration = duration("35s")
    """Longest wait for the answer to a statement; the `statement_timeout` of our roles ends a slow one after 30s."""

    def address(self, role: Literal["app", "ops", "metrics", "migrate"]) -> SecretUrl | None:
        """The address for `role`, which is `url` where the role has none of its own."""
        own = {"app": None, "ops": self.ops_url, "metrics": self.metrics_url, "migrate": self.migrate_url}[role]
        return own or self.url


class Redis(Section):
    """Redis or Valkey: the stream of hints and the dead-letter stream."""

    url: Annotated[RedisUrl, Env("REDIS_URL")] = SecretUrl("redis://localhost:6379/0")
    """Address of the server."""
    stream_key: Annotated[Text, Env("M10_STREAM_KEY")] = "m10:evaluate:stream"
    """Stream of candidates to evaluate."""
    consumer_group: Annotated[Text, Env("M10_CONSUMER_GROUP")] = "m10:evaluate:group"
    """Consumer group of the stream."""
    dead_letter_stream: Annotated[Text, Env("M10_DEAD_LETTER_STREAM")] = "m10:evaluate:dead-letter"
    """Stream of entries that were given up."""
    hash_tag: (
        Annotated[str, Field(max_length=64, pattern=r"^[^{}\s]+$"), Says("a text without braces and spaces")] | None
    ) = None
    """Hash tag of both streams, so that they share a slot of Redis Cluster: `m10` gives `{m10}:evaluate:stream`."""
    stream_max_len: Annotated[Count, Env("M10_STREAM_MAX_LEN")] = 100_000
    """Entries in the stream from which new work goes to the fallback queue."""
    dead_letter_max_len: Annotated[Count, Env("M10_DEAD_LETTER_MAX_LEN")] = 10_000
    """Entries that the dead-letter stream keeps once they are archived."""
    block: Annotated[Duration, Env("M10_BLOCK_MS", "ms")] = duration("2s")
    """Longest wait of one blocking read of the stream."""
    command_timeout: Duration = duration("500ms")
    """Longest wait for the answer to any other command."""
    connect_timeout: Duration = duration("2s")
    """Longest wait for a new connection."""
