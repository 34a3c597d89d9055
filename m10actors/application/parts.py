"""What the actors share: pools, clients, the state of the dependencies. Made from settings, opened and closed as
one.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Literal

from m10actors import logs
from m10actors.application.live import Live, Rulings
from m10actors.config import Settings
from m10actors.hints import Hints
from m10actors.ingest import Ingest
from m10actors.postgres import inputs
from m10actors.postgres.deadlines import Operation
from m10actors.postgres.errors import NotPermitted, StoreError
from m10actors.postgres.pool import Database, jsonb
from m10actors.postgres.prober import Prober
from m10actors.recovery.dependency import Dependency
from m10actors.recovery.pauses import Pauses
from m10actors.rulebook import proposed
from m10actors.streams import RedisClient, StreamMonitor, StreamNames, StreamProducer, StreamQueue, checkup
from m10actors.supervision.current import hold

log = logs.logger(__name__)

Role = Literal["app", "ops", "metrics"]
GREETING_SECONDS = 3.0
LEAD_POOL_SIZE = 3
"""One each for the leader, the lease keeper and the pause monitor: so few that they are always there, and their own, so
that no ingest call delays them.
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is shared between actors; all of it is safe to use from many threads, but for the probers, which
    are their monitors'.
    """

    settings: Settings
    worker: str
    app: Database
    lead: Database
    ops: Database
    metrics: Database
    postgres_prober: Prober
    redis_client: RedisClient
    names: StreamNames
    monitor: StreamMonitor
    probing_client: RedisClient
    prober: StreamMonitor
    hints: Hints
    ingest: Ingest
    postgres: Dependency
    redis: Dependency
    pauses: Pauses
    live: Live

    @classmethod
    def of(cls, settings: Settings, worker: str) -> "Parts":
        """Connects to nothing yet."""
        redis, postgres = Dependency("redis"), Dependency("postgres")
        pool = partial(_database, settings, postgres)
        app = pool("app", settings.database.pool_size)
        client = redis_client(settings, redis)
        probing = client.apart()  # so that a busy pool never looks like an outage
        names = stream_names(settings)
        hints = Hints(StreamProducer(client, names), app, redis, settings.redis.stream_max_len)
        return cls(
            settings=settings,
            worker=worker,
            app=app,
            lead=pool("app", LEAD_POOL_SIZE, name="lead"),
            ops=pool("ops", settings.database.ops_pool_size),
            metrics=pool("metrics", 2),
            postgres_prober=Prober(_address(settings, "app"), ceil(settings.database.connect_timeout.total_seconds())),
            redis_client=client,
            names=names,
            monitor=StreamMonitor(client, names),
            probing_client=probing,
            prober=StreamMonitor(probing, names),
            hints=hints,
            ingest=Ingest(app, hints),
            postgres=postgres,
            redis=redis,
            pauses=Pauses(),
            live=Live(settings),
        )

    def queue(self) -> StreamQueue:
        """A consumer of the group under this process' name, with a connection of its own for blocking reads."""
        return StreamQueue(self.redis_client, self.names, self.worker)

    def open(self) -> None:
        for database in (self.app, self.lead, self.ops, self.metrics):
            database.open()

    def close(self) -> None:
        self.live.now.deliverer.close()
        for database in (self.app, self.lead, self.ops, self.metrics):
            database.close()
        self.postgres_prober.close()
        self.redis_client.close()
        self.probing_client.close()

    def reload(self, settings: Settings) -> None:
        """Goes over to what `settings` say about decisions, actions and destinations; StoreError, and nothing changed,
        if PostgreSQL cannot be told.
        """
        rulings = self.live.rulings(settings)
        self._configure(rulings)
        self.live.replace(rulings)
        with suppress(StoreError):  # the rules are there already; the next contact looks again
            self._check_actions()

    def first_contact(self) -> None:
        """What is due whenever PostgreSQL comes up: the periods that SQL needs are written, the rights of the
        roles are looked at. Nobody judges PostgreSQL meanwhile, so that it must not take long.
        """
        with Operation("the first contact", GREETING_SECONDS):
            self._configure(self.live.now)
            for database in (self.app, self.ops, self.metrics):
                self._check_rights(database)
            self._check_actions()

    def check_server(self) -> None:
        """What is due whenever Redis comes up: whatever about the server does not fit is said. Nothing is lost with it,
        but work may wait for the sweep.
        """
        for each in checkup(self.probing_client):
            if each.fits is False:
                log.warning(
                    "redis_not_fit",
                    check=each.check,
                    found=each.found,
                    expected=each.expected,
                    consequence=each.consequence,
                )

    def _configure(self, rulings: Rulings) -> None:
        self.app.rows("configure", {"settings": jsonb({**rulings.sql_settings, "by": self.worker})})

    def _check_actions(self) -> None:
        if missing := proposed(self.live.rules().book.rules) - inputs.actions(self.app).keys():
            log.warning("rule_action_unknown", actions=", ".join(sorted(missing)))

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


def _database(settings: Settings, postgres: Dependency, role: Role, size: int, name: str | None = None) -> Database:
    return Database(
        _address(settings, role),
        name=name or role,
        size=size,
        acquire_timeout=settings.database.checkout_timeout,
        connect_timeout=ceil(settings.database.connect_timeout.total_seconds()),
        timeout=settings.database.call_timeout,
        dependency=postgres,
        hold=hold,
    )


def _address(settings: Settings, role: Role) -> str:
    address = settings.database.address(role)
    return address.get_secret_value() if address else ""


def redis_client(settings: Settings, redis: Dependency | None = None) -> RedisClient:
    """A client to where `redis.url` leads; RedisMisconfigured if it cannot be used."""
    url, timeout = settings.redis.url.get_secret_value(), settings.redis.command_timeout
    return RedisClient(url, timeout=timeout, dependency=redis, hold=hold)


def stream_names(settings: Settings) -> StreamNames:
    """The keys of the queue, with their hash tag if there is one."""
    names = StreamNames(settings.redis.stream_key, settings.redis.consumer_group, settings.redis.dead_letter_stream)
    return names.tagged(settings.redis.hash_tag) if settings.redis.hash_tag else names
