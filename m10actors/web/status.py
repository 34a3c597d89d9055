"""The process at one look: what a person who is woken at night asks first."""

import time
from typing import Final

from pydantic import BaseModel

from m10actors import logs, metrics
from m10actors.actor_metrics import everyone
from m10actors.instruments import Sampled
from m10actors.postgres import depths
from m10actors.postgres.deadlines import Operation
from m10actors.postgres.depths import Depths
from m10actors.postgres.errors import StoreError
from m10actors.postgres.outbox import OUTBOX_LOCK
from m10actors.recovery.dependency import Condition, Dependency
from m10actors.supervision import ChildState, Phase
from m10actors.web.health import readiness
from m10actors.web.pausing import PauseState, state_of
from m10actors.web.services import Services

log = logs.logger(__name__)

_LEADER: Final = "outbox_leader"
_LOOK_SECONDS: Final = 3.0
"""Whoever asks waits for ten: without the depths the rest is still worth much."""


class DependencyStatus(BaseModel):
    """One dependency; `since_seconds` ago it came into this condition (None: not yet probed)."""

    condition: Condition
    since_seconds: float | None
    reason: str


class StreamFigures(BaseModel):
    """The stream as the metrics collector last saw it; None while Redis cannot be asked."""

    length: int | None
    pending: int | None
    consumers: int | None
    oldest_seconds: float | None
    dead_letters: int | None


class Leader(BaseModel):
    """Whether anybody leads the delivery, in which epoch, and what the leader or stand-by of this process says."""

    active: bool
    epoch: int
    here: str


class Standing(BaseModel):
    """A child that does not run, and why."""

    id: str
    phase: Phase
    parked_on: tuple[str, ...]
    last_exit: str | None


class Totals(BaseModel):
    """Since the start of this process: of two looks, the difference is a rate."""

    ingested: int
    evaluated: int
    delivered: int
    attempts_failed: int
    dead_letters: int
    restarts: int


class Status(BaseModel):
    """The process at a glance. `depths` and `leader` are None where PostgreSQL does not say them soon."""

    version: str
    worker: str
    uptime_seconds: float
    draining: bool
    ready: str
    reasons: list[str]
    dependencies: dict[str, DependencyStatus]
    leader: Leader | None
    depths: Depths | None
    stream: StreamFigures
    paused: list[PauseState]
    not_running: list[Standing]
    totals: Totals


def status(services: Services) -> Status:
    """Asks PostgreSQL for the depths, as m10_metrics; all else is known here."""
    tree = services.snapshot()
    verdict = readiness(
        tree,
        draining=services.draining.is_set(),
        postgres=services.postgres.health.condition,
        redis=services.redis.health.condition,
    )
    found = _stores(services, tree)
    return Status(
        version=services.version,
        worker=services.worker,
        uptime_seconds=time.monotonic() - services.started_at,
        draining=services.draining.is_set(),
        ready=verdict.status,
        reasons=verdict.reasons,
        dependencies={each.name: _dependency(each) for each in (services.postgres, services.redis)},
        depths=found[0],
        leader=found[1],
        stream=_stream(),
        paused=[state_of(pause) for pause in services.pauses.now],
        not_running=[
            Standing(id=child.id, phase=child.phase, parked_on=child.parked_on, last_exit=child.last_exit)
            for child in everyone(tree)
            if child.phase is not Phase.RUNNING
        ],
        totals=_totals(),
    )


def _dependency(dependency: Dependency) -> DependencyStatus:
    health = dependency.health
    known = health.condition is not Condition.UNKNOWN
    return DependencyStatus(
        condition=health.condition,
        since_seconds=time.monotonic() - health.since if known else None,
        reason=health.reason,
    )


def _stores(services: Services, tree: ChildState | None) -> tuple[Depths | None, Leader | None]:
    if services.postgres.is_down:
        return None, None
    try:
        with Operation("a look at the depths", _LOOK_SECONDS):
            found = depths.depths(services.metrics_database)
            locks = {lock.name: lock for lock in depths.locks(services.metrics_database)}
    except StoreError as error:
        log.warning("depths_unavailable", error=str(error))
        return None, None
    lock = locks.get(OUTBOX_LOCK)
    here = next((child.doing or child.phase for child in everyone(tree) if child.id == _LEADER), "")
    return found, Leader(active=lock is not None and lock.active, epoch=lock.epoch if lock else 0, here=here)


def _stream() -> StreamFigures:
    return StreamFigures(
        length=_count(metrics.STREAM_LENGTH),
        pending=_count(metrics.STREAM_PENDING),
        consumers=_count(metrics.STREAM_CONSUMERS),
        oldest_seconds=metrics.STREAM_OLDEST.value,
        dead_letters=_count(metrics.DEAD_LETTER_LENGTH),
    )


def _count(gauge: Sampled) -> int | None:
    return None if gauge.value is None else int(gauge.value)


def _totals() -> Totals:
    return Totals(
        ingested=_total("recovery_ingest_total"),
        evaluated=_total("recovery_worker_processed_total", status="evaluated"),
        delivered=_total("m10_outbox_processed_total"),
        attempts_failed=_total("m10_outbox_failed_total"),
        dead_letters=_total("recovery_dead_letter_added_total"),
        restarts=_total("m10_actor_restarts_total"),
    )


def _total(name: str, **labels: str) -> int:
    """A counter, over all values of its other labels."""
    family = metrics.REGISTRY.restricted_registry([name]).collect()
    samples = (sample for each in family for sample in each.samples if sample.name == name)
    return int(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))
