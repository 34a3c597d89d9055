"""The tree of child specs (docs/how-it-works.md draws it). Children stop in reverse order, so the order is the
drain.
"""

from collections.abc import Callable
from typing import Any

import pykka

from m10actors.actors import claim_worker, outbox_leader
from m10actors.actors.claim_worker import ClaimWorker
from m10actors.actors.dead_letter_router import DeadLetterRouter
from m10actors.actors.delivery_worker import DeliveryWorker
from m10actors.actors.job_runner import JobRunner
from m10actors.actors.messages import DEAD_LETTER_ROUTER, JOB_RUNNER, OUTBOX_LEADER, RECLAIMER, STREAM_READER
from m10actors.actors.metrics_collector import MetricsCollector
from m10actors.actors.monitors import DependencyMonitor, IncarnationProbe, PostgresProbe
from m10actors.actors.outbox_leader import OutboxLeader
from m10actors.actors.reclaimer import Predecessors, Reclaimer
from m10actors.actors.scheduler import Schedule, Scheduler
from m10actors.actors.stream_reader import StreamReader
from m10actors.application.parts import Parts
from m10actors.config import Settings
from m10actors.evaluation import Evaluator
from m10actors.ops.cleanup import expired_locks, idle_consumers, release_stalled
from m10actors.ops.dead_letters import dead_letter_reconcile
from m10actors.ops.job import Job
from m10actors.ops.matviews import matview_refresh
from m10actors.ops.retention import Rule, retention
from m10actors.streams import DeadLetterStream
from m10actors.supervision import Backoff, ChildSpec, Link, Strategy, SupervisorSpec

Start = Callable[[Link], pykka.ActorRef[Any]]


def tree(parts: Parts, http_endpoint: Start, predecessors: Predecessors) -> SupervisorSpec:
    """The whole tree. `http_endpoint` starts the listeners, `predecessors` are those of this run folder."""
    knobs = _Knobs(parts.settings)
    return knobs.supervisor(
        "root",
        knobs.child("http_endpoint", http_endpoint),
        _substrate(parts, knobs),
        knobs.child(
            "metrics_collector",
            lambda link: MetricsCollector.start(link, parts.metrics, parts.monitor, parts.settings.metrics.interval),
        ),
        _leadership(parts, knobs),
        _intake(parts, knobs, predecessors),
        _maintenance(parts, knobs),
    )


def _substrate(parts: Parts, knobs: "_Knobs") -> SupervisorSpec:
    tree_ = parts.settings.tree
    postgres_probe = PostgresProbe(parts.app, parts.first_contact)
    redis_probe = IncarnationProbe(parts.prober, parts.redis)
    return knobs.supervisor(
        "substrate",
        knobs.child(
            "postgres_monitor",
            lambda link: DependencyMonitor.start(link, parts.postgres, postgres_probe, tree_.postgres_monitor.poll),
        ),
        knobs.child(
            "redis_monitor",
            lambda link: DependencyMonitor.start(link, parts.redis, redis_probe, tree_.redis_monitor.poll),
        ),
    )


def _leadership(parts: Parts, knobs: "_Knobs") -> SupervisorSpec:
    outbox = parts.settings.outbox
    pace = outbox_leader.Pace(outbox.lock_ttl, outbox.renewal, outbox.poll_interval, outbox.batch_size)
    return knobs.supervisor(
        "leadership",
        knobs.child(OUTBOX_LEADER, lambda link: OutboxLeader.start(link, parts.worker, parts.app, parts.hints, pace)),
        knobs.supervisor(
            "delivery_workers",
            *knobs.pool(
                "delivery_worker", outbox.max_concurrent_http, lambda link: DeliveryWorker.start(link, parts.deliverer)
            ),
            stop_together=True,
        ),
    )


def _intake(parts: Parts, knobs: "_Knobs", predecessors: Predecessors) -> SupervisorSpec:
    intake, tree_ = parts.settings.intake, parts.settings.tree
    pace = claim_worker.Pace(
        batch_size=intake.batch_size,
        batch_max=intake.batch_max,
        lease=intake.evaluation_lease,
        poll=intake.poll_interval,
        sweep_after=intake.sweep_after,
        max_attempts=intake.max_reclaim_attempts,
    )

    def evaluator(worker: str) -> Evaluator:
        return Evaluator(parts.app, worker, parts.policy, parts.routes)

    return knobs.supervisor(
        "intake",
        knobs.child(
            DEAD_LETTER_ROUTER,
            lambda link: DeadLetterRouter.start(
                link, parts.worker, parts.app, parts.queue(), parts.monitor, tree_.dead_letter_router.poll
            ),
        ),
        knobs.child(
            STREAM_READER,
            lambda link: StreamReader.start(
                link, parts.queue(), parts.redis, parts.settings.redis.block, intake.batch_max
            ),
        ),
        knobs.child(
            RECLAIMER,
            lambda link: Reclaimer.start(
                link, parts.queue(), predecessors, intake.claim_idle, intake.max_reclaim_per_loop, tree_.reclaimer.poll
            ),
        ),
        knobs.supervisor(
            "claim_workers",
            *knobs.pool(
                "claim_worker",
                intake.claim_workers,
                lambda link: ClaimWorker.start(
                    link,
                    parts.worker,
                    parts.app,
                    parts.queue(),
                    parts.monitor,
                    parts.hints,
                    parts.redis,
                    evaluator,
                    pace,
                ),
            ),
            stop_together=True,
        ),
    )


def _maintenance(parts: Parts, knobs: "_Knobs") -> SupervisorSpec:
    found = jobs(parts)
    schedules = {name: schedule for name in found if (schedule := _schedule(parts.settings, name)) is not None}
    return knobs.supervisor(
        "maintenance",
        knobs.child("scheduler", lambda link: Scheduler.start(link, schedules)),
        knobs.child(
            JOB_RUNNER, lambda link: JobRunner.start(link, parts.worker, parts.ops, found, parts.settings.jobs.lock_ttl)
        ),
    )


def jobs(parts: Parts) -> dict[str, Job]:
    """Every operations job by its name, which is also the key of its schedule."""
    settings = parts.settings
    keep = settings.retention
    rules = (
        Rule("accepted_keys", "delete_accepted_keys", keep.idempotency),
        Rule("replay_log", "delete_replay_log", keep.replay_log),
        Rule("outbox", "delete_outbox", keep.outbox),
        Rule("work_queue", "delete_work", keep.outbox),
        Rule("matview_refresh_log", "delete_refresh_log", keep.outbox),
        Rule("evaluation_claims", "delete_claims", keep.outbox),
        Rule("dead_letter_archive", "delete_dead_letters", keep.dead_letter_archive),
        Rule("provenance_archive", "archive_provenance", keep.provenance),
        Rule("inputs_archive", "archive_inputs", keep.inputs),
        Rule("candidates_archive", "archive_candidates", keep.candidates),
    )
    dead_letters = DeadLetterStream(parts.redis_client, parts.names)
    return {
        "matview_refresh": matview_refresh(parts.ops),
        "release_stalled": release_stalled(parts.ops, settings.jobs.stalled_after),
        "expired_locks": expired_locks(parts.ops),
        "idle_consumers": idle_consumers(parts.monitor),
        "dead_letter_reconcile": dead_letter_reconcile(
            parts.ops, dead_letters, parts.monitor, settings.redis.dead_letter_max_len
        ),
        "retention": retention(parts.ops, rules, settings.jobs.retention_batch),
    }


def _schedule(settings: Settings, job: str) -> Schedule | None:
    schedule: Schedule | None = getattr(settings.jobs, job)
    return schedule


class _Knobs:
    """Specs with the strategy, intensity, deadlines and stall limits of the configuration."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def supervisor(
        self, child_id: str, *children: ChildSpec | SupervisorSpec, stop_together: bool = False
    ) -> SupervisorSpec:
        knobs = getattr(self._settings.tree, child_id)
        return SupervisorSpec(
            id=child_id,
            children=children,
            strategy=Strategy(knobs.strategy),
            intensity=knobs.intensity,
            period=knobs.period.total_seconds(),
            backoff=Backoff(knobs.backoff.total_seconds(), knobs.backoff_max.total_seconds()),
            stop_together=stop_together,
        )

    def child(self, child_id: str, start: Start, *, kind: str | None = None) -> ChildSpec:
        """`kind`: the table of the configuration, where it is not the id itself."""
        knobs = getattr(self._settings.tree, kind or child_id)
        return ChildSpec(
            id=child_id,
            start=start,
            shutdown=knobs.shutdown.total_seconds(),
            start_timeout=knobs.start_timeout.total_seconds(),
            stall_after=self._settings.stall_after(kind or child_id).total_seconds(),
        )

    def pool(self, kind: str, size: int, start: Start) -> list[ChildSpec]:
        """`kind.1` to `kind.size`."""
        return [self.child(f"{kind}.{number}", start, kind=kind) for number in range(1, size + 1)]
