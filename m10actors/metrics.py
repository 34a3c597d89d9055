"""Every metric, in one place; docs/metrics.md explains them. Labels come from closed sets, or are the first values seen
and `other` after them.
"""

from collections.abc import Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from m10actors.instruments import Batched, Bounded, Sampled

REGISTRY: Final = CollectorRegistry()

source_label = Bounded()
event_type_label = Bounded()
aggregate_label = Bounded()
lock_label = Bounded()
evaluator_label = Bounded()
rule_label = Bounded()

Store = Literal["postgres", "redis"]
SAMPLED: Final[dict[Store, list[Sampled]]] = {"postgres": [], "redis": []}
"""What is absent while the store cannot be sampled."""


def _counter(name: str, text: str, *labels: str, known: Sequence[str] = ()) -> Counter:
    """`known`: the values of its one label, where they are a closed set. They show 0 from the start, so that the first
    increase is seen as one.
    """
    counter = Counter(name, text, labels, registry=REGISTRY)
    for value in known:
        counter.labels(value)
    return counter


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY, buckets=buckets)


def _sampled(store: Store, name: str, text: str, *labels: str) -> Sampled:
    gauge = Sampled(REGISTRY, name, text, *labels)
    SAMPLED[store].append(gauge)
    return gauge


# Ingest
INGEST: Final = _counter("recovery_ingest_total", "Failures by what became of them.", "status", "source")
INGEST_LATENCY: Final = _histogram("recovery_ingest_latency_seconds", "An ingest call until it is stored.", "status")
INGEST_DUPLICATES: Final = _counter(
    "recovery_ingest_duplicates_total", "Failures that opened no candidate, by what told so.", "detection_method",
    known=("candidate", "idempotency_key"),
)  # fmt: skip
INGEST_ENQUEUE: Final = _counter(
    "recovery_ingest_enqueue_total", "Messages by the way that they took.", "status", known=("stream", "fallback")
)
STREAM_OVERFLOW: Final = _counter(
    "m10_stream_overflow_total", "Messages that went to the fallback queue because the stream is full."
)
KEY_CONFLICTS: Final = _counter(
    "m10_ingest_key_conflicts_total", "Idempotency keys that came again with another payload."
)
RATE_LIMITED: Final = _counter(
    "m10_http_rate_limited_total", "Requests answered 429 because of who made them.", "reason",
    known=("rate_limited", "too_many_unknown"),
)  # fmt: skip

# Intake and decisions
CLAIMED: Final = _counter(
    "recovery_worker_claimed_total", "Evaluations taken in hand, by where they came from.", "source",
    known=("stream", "reclaimed", "fallback", "sweep", "evaluator"),
)  # fmt: skip
PROCESSED: Final = _counter("recovery_worker_processed_total", "Evaluations by how they ended.", "status", "source")
PROCESSING: Final = _histogram("recovery_worker_processing_seconds", "One batch from its rows to its commit.")
SUGGESTIONS: Final = _counter("recovery_suggestions_total", "Decisions written.", "source", "decision")
SUGGESTION_LATENCY: Final = Batched(
    "recovery_suggestions_latency_seconds", "Deciding on one candidate, without the database.", registry=REGISTRY,
    buckets=(0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.01, 0.1, 1, 10),
)  # fmt: skip
EVALUATOR_SECONDS: Final = _histogram(
    "m10_evaluator_seconds", "One call of an evaluator of the user.", "evaluator",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)  # fmt: skip
EVALUATOR_FAILURES: Final = _counter(
    "m10_evaluator_failures_total", "What evaluators of the user failed at, by candidate.", "evaluator", "reason"
)
RULE_SWITCHED_OFF: Final = _gauge("m10_rule_switched_off", "1 for a rule that failed, until the next reload.", "rule")
APPROVALS: Final = _counter(
    "recovery_approvals_total", "Verdicts of people.", "decision", known=("approved", "rejected")
)

# Executions
EXECUTION_OUTCOMES: Final = _counter(
    "m10_execution_outcomes_total",
    "Executions that ended, by how.",
    "outcome",
    known=("succeeded", "failed", "rolled_back", "unknown"),
)

# Dead letters
DEAD_LETTERS: Final = _counter("recovery_dead_letter_added_total", "Evaluations and entries given up.", "reason")
REPLAYED: Final = _counter(
    "recovery_dead_letter_replayed_total", "Dead letters that were replayed, counted when they are reconciled."
)
ARCHIVED: Final = _counter(
    "m10_archive_total", "Dead letters written to the archive.", "source", known=("engine", "outbox", "stream")
)

# Outbox
PUBLISHED: Final = _counter("m10_outbox_published_total", "Events written.", "aggregate_type", "event_type")
DELIVERED: Final = _counter(
    "m10_outbox_processed_total", "Events delivered, when it is written.", "aggregate_type", "event_type"
)
FAILED: Final = _counter(
    "m10_outbox_failed_total", "Attempts that failed, when it is written.", "aggregate_type", "event_type"
)
DELIVERY_SECONDS: Final = _histogram(
    "m10_outbox_processing_seconds", "One attempt.", "event_type", buckets=(*Histogram.DEFAULT_BUCKETS[:-1], 30)
)

# Locks and operations
LOCK_ACQUIRED: Final = _counter("m10_lock_acquired_total", "Locks taken.", "lock_name")
LOCK_FAILED: Final = _counter("m10_lock_failed_total", "Locks that another holder had.", "lock_name")
MATVIEW_REFRESH: Final = _counter(
    "recovery_matview_refresh_total", "Refreshes of materialized views.", "view_name", "status"
)

# Sampled from the stores
STORE_UP: Final = _gauge("m10_dependency_up", "1 while the dependency can be used, 0 while it cannot.", "dependency")
STORE_SAMPLED: Final = _gauge("m10_store_up", "1 if the last sample of the store was answered, else 0.", "store")
LAST_COLLECTION: Final = _gauge("m10_last_collection_timestamp", "Unix time of the last sample that a store answered.")

CANDIDATES_PENDING: Final = _sampled("postgres", "recovery_candidates_pending", "Candidates without a verdict.")
CANDIDATES_PENDING_OLDEST: Final = _sampled(
    "postgres", "m10_candidates_pending_oldest_seconds", "Age of the oldest candidate without a verdict."
)
EVALUATIONS_DUE: Final = _sampled("postgres", "m10_evaluations_due", "Candidates with an evaluation due.")
EVALUATIONS_DUE_OLDEST: Final = _sampled(
    "postgres", "m10_evaluations_due_oldest_seconds", "How long the evaluation that is due longest has been due."
)
EXECUTIONS_OPEN: Final = _sampled("postgres", "m10_executions_open", "Executions under way.")
EXECUTIONS_OLDEST: Final = _sampled(
    "postgres", "m10_executions_oldest_seconds", "Age of the oldest execution under way."
)
QUEUE_DEPTH: Final = _sampled("postgres", "recovery_db_queue_depth", "Open rows of the fallback queue.")
QUEUE_OLDEST: Final = _sampled(
    "postgres", "m10_db_queue_oldest_seconds", "Age of the oldest open row of the fallback queue."
)
QUEUE_STALLED: Final = _sampled(
    "postgres", "recovery_db_queue_stalled", "Rows of the fallback queue claimed for longer than five minutes."
)
OUTBOX_PENDING: Final = _sampled("postgres", "m10_outbox_pending", "Events neither delivered nor dead.")
OUTBOX_OLDEST: Final = _sampled("postgres", "m10_outbox_oldest_seconds", "Age of the oldest open event.")
OUTBOX_LAG: Final = _sampled(
    "postgres", "m10_outbox_lag_seconds", "How long the event that is due longest has been due."
)
REPLAY_LOG_SIZE: Final = _sampled(
    "postgres", "m10_replay_log_size", "Rows of the replay log; past 20,000 by PostgreSQL's statistics."
)
ARCHIVE_SIZE: Final = _sampled(
    "postgres", "m10_archive_size", "Dead letters in the archive; past 20,000 by PostgreSQL's statistics."
)
MATVIEW_AGE: Final = _sampled(
    "postgres", "recovery_matview_age_seconds", "Time since the last refresh that succeeded.", "view_name"
)
LOCK_ACTIVE: Final = _sampled("postgres", "m10_lock_active", "1 while the lock is held.", "lock_name")

STREAM_LENGTH: Final = _sampled("redis", "recovery_stream_length", "Entries in the stream.")
STREAM_OLDEST: Final = _sampled("redis", "m10_stream_oldest_seconds", "Age of the oldest entry of the stream.")
STREAM_PENDING: Final = _sampled("redis", "recovery_stream_pending", "Entries delivered and not yet acknowledged.")
STREAM_PENDING_OLDEST: Final = _sampled(
    "redis", "m10_stream_pending_oldest_seconds", "Age of the oldest entry delivered and not yet acknowledged."
)
STREAM_CONSUMERS: Final = _sampled(
    "redis", "recovery_stream_consumers", "Consumers that asked for work within a minute."
)
DEAD_LETTER_LENGTH: Final = _sampled("redis", "recovery_dead_letter_length", "Entries in the dead-letter stream.")
DEAD_LETTER_OLDEST: Final = _sampled(
    "redis", "m10_dead_letter_oldest_seconds", "Age of the oldest entry of the dead-letter stream."
)

# The process
ACTOR_RESTARTS: Final = _counter("m10_actor_restarts_total", "Restarts of a child, by what ended it.", "child", "cause")
