"""What the web applications are given: made by the composition root, and by tests."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from m10actors.delivery import Condition
from m10actors.ingest import Ingest
from m10actors.ops.desk import JobDesk
from m10actors.postgres.pool import Database
from m10actors.postgres.verdicts import Terms
from m10actors.recovery.decoding import MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_BODY_BYTES
from m10actors.recovery.dependency import Dependency
from m10actors.recovery.gates import Policy
from m10actors.recovery.pauses import Pauses
from m10actors.recovery.rules import CONTRACT_RULES, Ruleset
from m10actors.supervision import ChildState


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller may send at once, and what all callers together may have on its way, in bytes and items. One token
    may make `token_rate` requests a second, and `token_burst` at once.
    """

    max_body: int = MAX_BODY_BYTES
    max_batch_items: int = MAX_BATCH_ITEMS
    max_batch_bytes: int = MAX_BATCH_BYTES
    max_in_flight_bytes: int = 64 * 1024 * 1024
    token_rate: float = 1000.0
    token_burst: int = 2000


@dataclass(frozen=True, slots=True)
class Webhooks:
    """How failures of other systems are read.

    `incident_label`: the alert label or Sentry tag that names an incident. `sentry_secret`: what Sentry signs with; a
    signed request acts under the name `sentry_name`, without a token.
    """

    incident_label: str = "m10_incident"
    sentry_secret: str | None = field(default=None, repr=False)
    sentry_name: str = "sentry"


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request can reach.

    `database` is the pool of m10_app, `metrics_database` that of m10_metrics, `operations_database` that of m10_ops.
    `current_routes` gives the actions that have a destination, by code (see `verdicts.decide`), `policy` and
    `ruleset` what decides and `terms` how approvals count; a reload changes all four. `look_at_pauses` has a change of
    the pauses take effect. `snapshot` answers None while there is no tree yet. `drain` begins the drain and returns at
    once; `wake` tells the outbox leader of a new event. `destinations` says how each destination of the delivery does,
    `jobs` what is known of the operations jobs.
    `allowed_hosts` are names of the Host header that are answered besides those of loopback.
    """

    version: str
    worker: str
    ingest: Ingest
    database: Database
    metrics_database: Database
    postgres: Dependency
    redis: Dependency
    current_routes: Callable[[], Mapping[str, Mapping[str, object]]]
    snapshot: Callable[[], ChildState | None]
    draining: threading.Event
    drain: Callable[[], None]
    wake: Callable[[], None]
    operations_database: Database
    pauses: Pauses
    look_at_pauses: Callable[[], None]
    allowed_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()
    policy: Callable[[], Policy] = Policy
    ruleset: Callable[[], Ruleset] = lambda: CONTRACT_RULES
    terms: Callable[[], Terms] = Terms
    webhooks: Webhooks = Webhooks()
    destinations: Callable[[], Sequence[Condition]] = tuple
    jobs: JobDesk = field(default_factory=JobDesk)
    started_at: float = field(default_factory=time.monotonic)

    @property
    def routes(self) -> Mapping[str, Mapping[str, object]]:
        return self.current_routes()
