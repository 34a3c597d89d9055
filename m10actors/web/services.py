"""What the web applications are given: made by the composition root, and by tests."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from m10actors.ingest import Ingest
from m10actors.postgres.pool import Database
from m10actors.recovery.decoding import MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_BODY_BYTES
from m10actors.recovery.dependency import Dependency
from m10actors.supervision import ChildState


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller may send at once, and what all callers together may have on its way, in bytes and items."""

    max_body: int = MAX_BODY_BYTES
    max_batch_items: int = MAX_BATCH_ITEMS
    max_batch_bytes: int = MAX_BATCH_BYTES
    max_in_flight_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request can reach.

    `database` is the pool of m10_app, `metrics_database` that of m10_metrics. `routes` are the actions that have a
    destination, by code (see `verdicts.decide`). `snapshot` answers None while there is no tree yet. `drain` begins the
    drain and returns at once; `wake` tells the outbox leader of a new event. `allowed_hosts` are names of the Host
    header that are answered besides those of loopback.
    """

    version: str
    worker: str
    ingest: Ingest
    database: Database
    metrics_database: Database
    postgres: Dependency
    redis: Dependency
    routes: Mapping[str, object]
    snapshot: Callable[[], ChildState | None]
    abandoned: Callable[[], int]
    draining: threading.Event
    drain: Callable[[], None]
    wake: Callable[[], None]
    allowed_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()
    started_at: float = field(default_factory=time.monotonic)
