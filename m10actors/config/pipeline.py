"""The way of a failure: ingest, intake, decisions, outbox."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from m10actors.config.durations import duration
from m10actors.config.kinds import AsTuple, Beside, Count, Duration, Env, FilePath, Fraction, Says, Section, Size
from m10actors.recovery.retry import DELIVERY_SCHEDULE, with_retries


class Ingest(Section):
    """What a caller may send at once."""

    max_body: Size = 262_144
    """Largest body of one failure, in bytes."""
    max_batch_items: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Failures in one batch."""
    max_batch_bytes: Size = 8_388_608
    """Largest body of a batch, in bytes."""


class Intake(Section):
    """How due candidates are taken: from the stream, reclaimed, from the fallback queue, by the sweep."""

    claim_workers: Annotated[int, Field(ge=1, le=256)] = 2
    """Claim workers in this process: so many batches of a backlog are in flight at once."""
    spare_workers: Annotated[int, Field(ge=0, le=256)] = 2
    """Workers beside them, for entries that come while those write and there is no backlog."""
    batch_size: Annotated[Count, Env("RECOVERY_WORKER_BATCH_SIZE")] = 50
    """Candidates that a claim worker takes at once to begin with."""
    batch_max: Annotated[Count, Env("M10_BATCH_MAX")] = 500
    """Size to which a batch may grow under load."""
    poll_interval: Annotated[Duration, Env("RECOVERY_WORKER_POLL_INTERVAL", "s")] = duration("10s")
    """Pause after which an idle claim worker asks its sources again, the fallback queue among them."""
    sweep_after: Annotated[Duration, Env("M10_SWEEP_AFTER", "s")] = duration("30s")
    """Time that a candidate is due before the sweep takes it."""
    claim_idle: Annotated[Duration, Env("M10_CLAIM_IDLE_MS", "ms")] = duration("5m")
    """Time without progress after which a pending entry is reclaimed."""
    max_reclaim_attempts: Annotated[Count, Env("M10_MAX_RECLAIM_ATTEMPTS")] = 3
    """Attempts after which an item becomes a dead letter."""
    max_reclaim_per_loop: Annotated[Count, Env("M10_MAX_RECLAIM_PER_LOOP")] = 20
    """Entries reclaimed in one round."""
    reclaim_base_backoff: Annotated[Duration, Env("M10_RECLAIM_BASE_BACKOFF_MS", "ms")] = duration("1m")
    """Idle time that the second reclaim of an entry waits for; it doubles with each further one."""
    reclaim_max_backoff: Annotated[Duration, Env("M10_RECLAIM_MAX_BACKOFF_MS", "ms")] = duration("1d")
    """Longest idle time that a reclaim waits for."""
    evaluation_lease: Duration = duration("1m")
    """Time for which an evaluation that was begun keeps its candidate to itself."""
    evaluator_workers: Annotated[int, Field(ge=1, le=256)] = 2
    """Calls of leased evaluators at once in this process."""


class Decisions(Section):
    """When an action is chosen and when it is carried out without a person."""

    evaluator_enabled: Annotated[bool, Env("RECOVERY_EVALUATOR_ENABLED")] = True
    """Whether rules and evaluators are asked at all; without, whatever is due is left to a person."""
    evaluators: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$"), Says("the name of an evaluator")], ...],
        AsTuple,
        Field(min_length=1, max_length=16),
    ] = ("rules",)
    """Who proposes, in this order: `rules`, and evaluators of yours; the first that is sure enough decides."""
    evaluator_timeout: Duration | None = None
    """Longest evaluation of one candidate; by default a tenth of `intake.claim_idle`, at most 30 s."""
    min_confidence: Annotated[Fraction, Env("RECOVERY_MIN_CONFIDENCE")] = 0.3
    """Confidence from which an action is selected."""
    auto_execute: Annotated[bool, Env("RECOVERY_AUTO_EXECUTE")] = False
    """Whether an automated action that needs no approval is carried out by itself."""
    auto_confidence: Fraction = 0.8
    """Confidence from which it is carried out by itself."""
    execution_cooldown: Annotated[Duration, Env("EXECUTION_COOLDOWN", "s")] = duration("15m")
    """Time within which an action runs by itself at most once per candidate."""
    reopen_after: Annotated[Duration, Env("REOPEN_AFTER", "s")] = duration("1h")
    """Time after the end of a round from which a repeat opens a new one."""
    verify_window: Annotated[Duration, Env("VERIFY_WINDOW", "s")] = duration("30m")
    """Time after a success within which a repeat says that the action did not help."""
    result_timeout: Annotated[Duration, Field(ge=timedelta(seconds=1))] = duration("1h")
    """Time for which a result is waited for after the delivery; then the execution ends as failed, outcome unknown."""
    attempt_budget: Annotated[int, Field(ge=1, le=100)] = 3
    """Executions of one round without a person, the actions that follow a failed one included."""
    rules_file: Annotated[FilePath | None, Beside()] = None
    """File of the rules, relative to this one; by default the rules that ship, `config/rules.toml`."""
    rule_time_limit: Annotated[Duration, Field(le=timedelta(seconds=10))] = duration("20ms")
    """Processor time that a pattern may take for one message; a rule with one that takes more is off until a reload."""
    claim_threshold: Annotated[Fraction, Env("RECOVERY_CLAIM_THRESHOLD")] = 0.2
    """Accepted so that older environment files work; it has no meaning."""


class Outbox(Section):
    """How published events are delivered, by the one process that holds the lock."""

    batch_size: Annotated[Count, Env("OUTBOX_BATCH_SIZE")] = 20
    """Events that the leader claims at once."""
    lock_ttl: Annotated[Duration, Env("OUTBOX_LOCK_TTL", "s"), Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = (
        duration("300s")
    )
    """Time to live of the leader's lock; the shipped file sets 15s."""
    renew_every: Duration | None = None
    """Pause between two renewals of the lock; by default a third of `lock_ttl`, at most 5 s."""
    poll_interval: Annotated[Duration, Env("OUTBOX_POLL_INTERVAL", "s")] = duration("5s")
    """Pause between two looks for due events when nothing wakes the leader."""
    max_retries: Annotated[int, Field(ge=0, le=100), Env("OUTBOX_MAX_RETRIES")] = 5
    """Retries after which an event becomes a dead letter."""
    retry_schedule: Annotated[tuple[Duration, ...] | None, AsTuple, Env("OUTBOX_RETRY_SCHEDULE", "s")] = None
    """Delay before each retry; by default 30s, 2m, 8m, 32m, 2h, cut to `max_retries` or with the last repeated."""
    jitter: Fraction = 0.1
    """Part of a delay by which it may vary."""
    max_concurrent_http: Annotated[int, Field(ge=1, le=1000), Env("OUTBOX_MAX_CONCURRENT_HTTP")] = 10
    """Requests on their way at once, which is the number of delivery workers."""
    http_timeout: Annotated[Duration, Env("OUTBOX_HTTP_TIMEOUT", "s")] = duration("30s")
    """Deadline of a whole request, from the name to the last byte of the answer."""
    max_age: Duration = duration("3d")
    """Age at which an event that no receiver has seen becomes a dead letter."""
    claim_takeover: Duration = duration("5m")
    """Age of a claim at which another holder may take it over."""

    @property
    def renewal(self) -> timedelta:
        """The pause between two renewals of the lock."""
        return self.renew_every or min(self.lock_ttl // 3, duration("5s"))

    @property
    def schedule(self) -> tuple[timedelta, ...]:
        """The delay before each retry, `max_retries` of them."""
        if self.retry_schedule is not None:
            return self.retry_schedule
        return with_retries(DELIVERY_SCHEDULE, self.max_retries)
