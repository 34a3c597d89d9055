"""What the actors share: pools, clients, the state of the dependencies. Made from settings, opened and closed as
one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

from m10actors import logs
from m10actors.config import Settings
from m10actors.delivery import Deliverer, Destination
from m10actors.hints import Hints
from m10actors.ingest import Ingest
from m10actors.postgres.errors import NotPermitted
from m10actors.postgres.pool import Database, jsonb
from m10actors.recovery.decision import Policy
from m10actors.recovery.dependency import Dependency
from m10actors.recovery.rules import CONTRACT_RULES, recheck_thresholds
from m10actors.streams import RedisClient, StreamMonitor, StreamNames, StreamProducer, StreamQueue

log = logs.logger(__name__)

Routes = Mapping[str, Mapping[str, object]]
"""What carries out each action: {"code": {"event": …, "destination": …, "template": …}}, as SQL takes it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is shared between actors; all of it is safe to use from many threads."""

    settings: Settings
    worker: str
    app: Database
    ops: Database
    metrics: Database
    redis_client: RedisClient
    names: StreamNames
    monitor: StreamMonitor
    probing_client: RedisClient
    prober: StreamMonitor
    hints: Hints
    ingest: Ingest
    deliverer: Deliverer
    postgres: Dependency
    redis: Dependency
    policy: Policy
    routes: Routes

    @classmethod
    def of(cls, settings: Settings, worker: str) -> "Parts":
        """Connects to nothing yet."""
        app = _database(settings, "app", settings.database.pool_size)
        redis, postgres = Dependency("redis"), Dependency("postgres")
        client = RedisClient(settings.redis.url.get_secret_value(), timeout=settings.redis.command_timeout)
        # A client of its own, so that a busy pool never looks like an outage.
        probing = RedisClient(
            settings.redis.url.get_secret_value(), timeout=settings.redis.command_timeout, connections=1
        )
        names = _names(settings)
        hints = Hints(StreamProducer(client, names), app, redis, settings.redis.stream_max_len)
        return cls(
            settings=settings,
            worker=worker,
            app=app,
            ops=_database(settings, "ops", settings.database.ops_pool_size),
            metrics=_database(settings, "metrics", 2),
            redis_client=client,
            names=names,
            monitor=StreamMonitor(client, names),
            probing_client=probing,
            prober=StreamMonitor(probing, names),
            hints=hints,
            ingest=Ingest(app, hints),
            deliverer=Deliverer(_destinations(settings)),
            postgres=postgres,
            redis=redis,
            policy=_policy(settings),
            routes=_routes(settings),
        )

    def queue(self) -> StreamQueue:
        """A consumer of the group under this process' name, with a connection of its own for blocking reads."""
        return StreamQueue(self.redis_client, self.names, self.worker)

    def open(self) -> None:
        for database in (self.app, self.ops, self.metrics):
            database.open()

    def close(self) -> None:
        self.deliverer.close()
        for database in (self.app, self.ops, self.metrics):
            database.close()
        self.redis_client.close()
        self.probing_client.close()

    def first_contact(self) -> None:
        """What is due once PostgreSQL is first reached: the periods that SQL needs are written, the rights of the
        roles are looked at.
        """
        self.app.rows("configure", {"settings": jsonb(_sql_settings(self.settings))})
        for database in (self.app, self.ops, self.metrics):
            self._check_rights(database)

    def _check_rights(self, database: Database) -> None:
        try:
            role, may_ingest, may_operate, may_measure = database.rows("my_rights")[0]
        except NotPermitted:
            role, may_ingest, may_operate, may_measure = "a role without USAGE of the schema", False, False, False
        needed = {"app": may_ingest, "ops": may_operate, "metrics": may_measure}[database.name]
        if not needed:
            log.error("rights_missing", pool=database.name, role=role, needs=_ADDRESS[database.name])
        if database.name == "app" and may_operate:
            log.warning("rights_wider_than_needed", pool="app", role=role, expected="m10_app")


_ADDRESS = {"app": "DATABASE_URL as m10_app", "ops": "M10_OPS_DATABASE_URL", "metrics": "M10_METRICS_DATABASE_URL"}


def _database(settings: Settings, role: Any, size: int) -> Database:
    address = settings.database.address(role)
    return Database(
        address.get_secret_value() if address else "",
        name=role,
        size=size,
        acquire_timeout=settings.database.checkout_timeout,
        connect_timeout=ceil(settings.database.connect_timeout.total_seconds()),
    )


def _names(settings: Settings) -> StreamNames:
    names = StreamNames(settings.redis.stream_key, settings.redis.consumer_group, settings.redis.dead_letter_stream)
    return names.tagged(settings.redis.hash_tag) if settings.redis.hash_tag else names


def _policy(settings: Settings) -> Policy:
    return Policy(
        auto_execute=settings.decisions.auto_execute,
        min_confidence=settings.decisions.min_confidence,
        auto_confidence=settings.decisions.auto_confidence,
        destinations_for=frozenset(settings.actions),
        evaluator_enabled=settings.decisions.evaluator_enabled,
        execution_cooldown=settings.decisions.execution_cooldown,
    )


def _routes(settings: Settings) -> Routes:
    return {
        code: {"event": action.event, "destination": action.destination, "template": plain(action.template)}
        for code, action in settings.actions.items()
    }


def _destinations(settings: Settings) -> dict[str, Destination]:
    made = {
        name: Destination(
            name=name,
            url=given.url.get_secret_value(),
            timeout=given.timeout or settings.outbox.http_timeout,
            headers={header: value.get_secret_value() for header, value in given.headers.items()},
            secrets=tuple(secret.get_secret_value() for secret in given.secrets),
            on_conflict=given.on_conflict,
            allow_networks=given.allow_networks,
            allow_http=given.allow_http,
        )
        for name, given in settings.destinations.items()
    }
    if settings.slack.webhook_url is not None and "slack" not in made:
        made["slack"] = Destination(
            name="slack", url=settings.slack.webhook_url.get_secret_value(), timeout=settings.outbox.http_timeout
        )
    return made


def _sql_settings(settings: Settings) -> dict[str, object]:
    outbox = settings.outbox
    return {
        "recheck_thresholds": list(recheck_thresholds(CONTRACT_RULES)),
        "reopen_after": _interval(settings.decisions.reopen_after),
        "max_retries": outbox.max_retries,
        "retry_schedule": [_interval(delay) for delay in outbox.schedule] or ["0 s"],
        "retry_jitter": outbox.jitter,
        "event_max_age": _interval(outbox.max_age),
        "claim_takeover": _interval(outbox.claim_takeover),
    }


def _interval(duration: timedelta) -> str:
    return f"{duration.total_seconds():f} s"


def plain(value: object) -> object:
    """A frozen JSON value as dicts and lists."""
    match value:
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case _:
            return value
