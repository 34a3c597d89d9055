"""The tree of child specs (docs/how-it-works.md draws it). Children stop in reverse order, so the order is the
drain.
"""

from functools import partial

from pykka import ActorRef

from m10actors.actors import claim_worker, outbox_leader
from m10actors.actors.claim_worker import ClaimWorker
from m10actors.actors.dead_letter_router import DeadLetterRouter
from m10actors.actors.delivery_worker import DeliveryWorker
from m10actors.actors.evaluator_dispatcher import EvaluatorDispatcher
from m10actors.actors.evaluator_worker import EvaluatorWorker
from m10actors.actors.job_runner import JobRunner
from m10actors.actors.lease_keeper import LeaseKeeper
from m10actors.actors.messages import (
    DEAD_LETTER_ROUTER,
    EVALUATOR_DISPATCHER,
    JOB_RUNNER,
    LEASE_KEEPER,
    OUTBOX_LEADER,
    PAUSE_MONITOR,
    RECLAIMER,
    SCHEDULER,
    STREAM_READER,
)
from m10actors.actors.metrics_collector import MetricsCollector
from m10actors.actors.monitors import DependencyMonitor, IncarnationProbe
from m10actors.actors.outbox_leader import OutboxLeader
from m10actors.actors.pause_monitor import PauseMonitor
from m10actors.actors.reclaimer import Predecessors, Reclaimer
from m10actors.actors.scheduler import Scheduler
from m10actors.actors.stop_switch import StopSwitch
from m10actors.actors.stream_reader import StreamReader
from m10actors.application.jobs import jobs, schedules
from m10actors.application.knobs import Knobs, Start
from m10actors.application.parts import Parts
from m10actors.evaluation import Evaluation
from m10actors.recovery.pauses import Part
from m10actors.recovery.retry import ReclaimBackoff
from m10actors.supervision import ChildSpec, Link, SupervisorSpec

POSTGRES, REDIS = "postgres", "redis"  # the names of their dependencies


def tree(parts: Parts, http_endpoint: Start, predecessors: Predecessors) -> SupervisorSpec:
    """The whole tree. `http_endpoint` starts the listeners, `predecessors` are those of this run folder."""
    knobs = Knobs(parts.settings)
    return knobs.supervisor(
        "root",
        knobs.child("http_endpoint", http_endpoint),
        _substrate(parts, knobs),
        knobs.child(
            "metrics_collector",
            lambda link: MetricsCollector.start(link, parts.metrics, parts.monitor, parts.settings.metrics.interval),
        ),
        _leadership(parts, knobs, predecessors),
        _intake(parts, knobs, predecessors),
        _maintenance(parts, knobs),
    )


def _substrate(parts: Parts, knobs: Knobs) -> SupervisorSpec:
    tree_ = parts.settings.tree
    redis_probe = IncarnationProbe(parts.prober, parts.redis)
    return knobs.supervisor(
        "substrate",
        knobs.child(
            "postgres_monitor",
            lambda link: DependencyMonitor.start(
                link,
                parts.postgres,
                parts.postgres_prober.probe,
                tree_.postgres_monitor.poll,
                greet=parts.first_contact,
            ),
        ),
        knobs.child(
            "redis_monitor",
            lambda link: DependencyMonitor.start(
                link, parts.redis, redis_probe, tree_.redis_monitor.poll, greet=parts.check_server
            ),
        ),
        knobs.child(
            PAUSE_MONITOR,
            lambda link: PauseMonitor.start(link, parts.lead, parts.pauses, tree_.pause_monitor.poll),
        ),
        knobs.child(
            LEASE_KEEPER,
            lambda link: LeaseKeeper.start(link, parts.lead, parts.settings.outbox.renewal),
            needs={POSTGRES},
            ticks=False,
        ),
    )


def _leadership(parts: Parts, knobs: Knobs, predecessors: Predecessors) -> SupervisorSpec:
    outbox = parts.settings.outbox
    timeouts = [given.timeout or outbox.http_timeout for given in parts.settings.destinations.values()]
    pace = outbox_leader.Pace.of(
        outbox.lock_ttl,
        outbox.poll_interval,
        outbox.batch_size,
        outbox.max_concurrent_http,
        max([outbox.http_timeout, *timeouts]),
        outbox.claim_takeover,
    )
    return knobs.supervisor(
        "leadership",
        knobs.child(
            OUTBOX_LEADER,
            lambda link: OutboxLeader.start(
                link, parts.worker, parts.lead, parts.hints, pace, parts.live.gate.held, predecessors.take_over
            ),
            needs={Part.DELIVERY, POSTGRES},
        ),
        knobs.supervisor(
            "delivery_workers",
            *knobs.pool(
                "delivery_worker",
                outbox.max_concurrent_http,
                lambda link: DeliveryWorker.start(link, StopSwitch(parts.live, parts.pauses)),
                ticks=False,
            ),
            stop_together=True,
            needs={Part.DELIVERY},
        ),
    )


def _intake(parts: Parts, knobs: Knobs, predecessors: Predecessors) -> SupervisorSpec:
    intake, tree_ = parts.settings.intake, parts.settings.tree
    return knobs.supervisor(
        "intake",
        knobs.child(
            DEAD_LETTER_ROUTER,
            lambda link: DeadLetterRouter.start(
                link, parts.worker, parts.app, parts.queue(), parts.monitor, tree_.dead_letter_router.poll
            ),
            needs={POSTGRES},
            ticks=False,
        ),
        knobs.child(
            STREAM_READER,
            lambda link: StreamReader.start(
                link,
                parts.queue(),
                parts.redis,
                parts.settings.redis.block,
                intake.batch_max,
                intake.claim_idle,
                abreast=intake.claim_workers,
            ),
            needs={Part.INTAKE, REDIS},
            ticks=False,
        ),
        knobs.child(
            RECLAIMER,
            lambda link: Reclaimer.start(
                link,
                parts.app,
                parts.queue(),
                predecessors,
                ReclaimBackoff(intake.claim_idle, intake.reclaim_base_backoff, intake.reclaim_max_backoff),
                intake.max_reclaim_per_loop,
                tree_.reclaimer.poll,
            ),
            needs={Part.INTAKE, POSTGRES},
        ),
        *_leased_evaluators(parts, knobs),
        _claim_workers(parts, knobs),
    )


def _leased_evaluators(parts: Parts, knobs: Knobs) -> tuple[ChildSpec, SupervisorSpec]:
    intake, tree_ = parts.settings.intake, parts.settings.tree
    name = f"{parts.worker}/{EVALUATOR_DISPATCHER}"
    return (
        knobs.child(
            EVALUATOR_DISPATCHER,
            lambda link: EvaluatorDispatcher.start(
                link,
                name,
                parts.app,
                Evaluation(parts.app, name, parts.live.rules),
                parts.hints,
                intake.evaluation_lease,
                tree_.evaluator_dispatcher.poll,
                intake.evaluator_workers,
            ),
            needs={Part.INTAKE, POSTGRES},
        ),
        knobs.supervisor(
            "evaluator_workers",
            *knobs.pool("evaluator_worker", intake.evaluator_workers, EvaluatorWorker.start),
            stop_together=True,
            needs={Part.INTAKE},
        ),
    )


def _claim_workers(parts: Parts, knobs: Knobs) -> SupervisorSpec:
    intake = parts.settings.intake
    pace = claim_worker.Pace(
        batch_size=intake.batch_size,
        batch_max=intake.batch_max,
        lease=intake.evaluation_lease,
        poll=intake.poll_interval,
        sweep_after=intake.sweep_after,
        max_attempts=intake.max_reclaim_attempts,
    )

    def evaluation(worker: str) -> Evaluation:
        return Evaluation(parts.app, worker, parts.live.rules)

    def claim(link: Link, *, spare: bool = False) -> ActorRef[ClaimWorker]:
        return ClaimWorker.start(
            link, parts.worker, parts.app, parts.queue(), parts.monitor, parts.hints, parts.redis, evaluation, pace,
            spare=spare,
        )  # fmt: skip

    return knobs.supervisor(
        "claim_workers",
        *knobs.pool("claim_worker", intake.claim_workers, claim),
        *knobs.pool("spare_worker", intake.spare_workers, partial(claim, spare=True), kind="claim_worker"),
        stop_together=True,
        needs={Part.INTAKE, POSTGRES},
    )


def _maintenance(parts: Parts, knobs: Knobs) -> SupervisorSpec:
    found = jobs(parts)
    planned = schedules(parts.settings, found)
    return knobs.supervisor(
        "maintenance",
        knobs.child(SCHEDULER, lambda link: Scheduler.start(link, planned), needs={Part.JOBS}),
        knobs.child(
            JOB_RUNNER,
            lambda link: JobRunner.start(link, parts.worker, parts.ops, found, parts.settings.jobs.lock_ttl),
            needs={Part.JOBS, POSTGRES},
            ticks=False,
        ),
    )
