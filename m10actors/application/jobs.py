"""The operations jobs of this installation, and when each is due."""

from collections.abc import Iterable
from datetime import timedelta

from m10actors.actors.scheduler import Schedule
from m10actors.application.parts import Parts
from m10actors.config import Settings
from m10actors.config.upkeep import Retention
from m10actors.ops.cleanup import expired_locks, idle_consumers, release_stalled
from m10actors.ops.dead_letters import dead_letter_reconcile
from m10actors.ops.executions import execution_check
from m10actors.ops.job import Job
from m10actors.ops.matviews import matview_refresh
from m10actors.ops.partitions import partitions
from m10actors.ops.retention import Rule, retention
from m10actors.streams import DeadLetterStream, PendingEntries


def jobs(parts: Parts) -> dict[str, Job]:
    """Every operations job by its name, which is also the key of its schedule."""
    settings = parts.settings
    dead_letters = DeadLetterStream(parts.redis_client, parts.names)
    pending = PendingEntries(parts.redis_client, parts.names)
    return {
        "matview_refresh": matview_refresh(parts.ops),
        "release_stalled": release_stalled(parts.ops, settings.jobs.stalled_after),
        "execution_check": execution_check(parts.ops),
        "expired_locks": expired_locks(parts.ops),
        "idle_consumers": idle_consumers(parts.monitor),
        "dead_letter_reconcile": dead_letter_reconcile(
            parts.ops, dead_letters, pending, parts.monitor, settings.redis.dead_letter_max_len
        ),
        "partitions": partitions(parts.ops),
        "retention": retention(parts.ops, retention_rules(settings.retention), settings.jobs.retention_batch),
    }


def retention_rules(keep: Retention) -> tuple[Rule, ...]:
    """What is deleted, or archived, after which time: every table that grows with what happens."""
    return (
        Rule("accepted_keys", "delete_accepted_keys", keep.idempotency),
        Rule("replay_log", "delete_replay_log", keep.replay_log),
        Rule("outbox", "delete_outbox", keep.outbox, partition="drop_outbox"),
        Rule("work_queue", "delete_work", keep.outbox),
        Rule("matview_refresh_log", "delete_refresh_log", keep.outbox),
        Rule("evaluation_claims", "delete_claims", keep.outbox),
        Rule("admission_counts", "delete_admissions", timedelta(hours=2)),
        Rule("replay_runs", "delete_replay_runs", keep.replay_log),
        Rule("executions", "delete_executions", keep.executions),
        Rule("approvals", "delete_approvals", keep.provenance),
        Rule("control_log", "delete_control_log", keep.operator_log),
        Rule("purges", "delete_purges", keep.operator_log),
        Rule("dead_letter_archive", "delete_dead_letters", keep.dead_letter_archive),
        Rule("provenance_archive", "archive_provenance", keep.provenance, partition="archive_provenance_partition"),
        Rule("inputs_archive", "archive_inputs", keep.inputs),
        Rule("candidates_archive", "archive_candidates", keep.candidates),
    )


def schedules(settings: Settings, names: Iterable[str]) -> dict[str, Schedule]:
    """Those of these jobs that have one; the others run only when they are asked for."""
    given: dict[str, Schedule | None] = {name: getattr(settings.jobs, name) for name in names}
    return {name: schedule for name, schedule in given.items() if schedule is not None}
