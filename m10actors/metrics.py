"""Every metric, in one place. Labels come from closed sets, or from the first `MAX_VALUES` values seen and `other`
after them.
"""

import threading
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

MAX_VALUES: Final = 50
REGISTRY: Final = CollectorRegistry()


class Bounded:
    """Turns values that come from outside into at most MAX_VALUES labels."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, value: str | None) -> str:
        value = value or ""
        if value in self._seen:
            return value
        with self._lock:
            if len(self._seen) >= MAX_VALUES:
                return "other"
            self._seen.add(value)
            return value


source_label = Bounded()
event_type_label = Bounded()
aggregate_label = Bounded()
lock_label = Bounded()


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY)


# Ingest
INGEST: Final = _counter("recovery_ingest_total", "Failures by what became of them.", "status", "source")
INGEST_LATENCY: Final = _histogram("recovery_ingest_latency_seconds", "An ingest call until it is stored.", "status")
INGEST_DUPLICATES: Final = _counter(
    "recovery_ingest_duplicates_total", "Failures that opened no candidate, by what told so.", "detection_method"
)
INGEST_ENQUEUE: Final = _counter("recovery_ingest_enqueue_total", "Messages by the way that they took.", "status")

# Intake and decisions
CLAIMED: Final = _counter(
    "recovery_worker_claimed_total", "Evaluations taken in hand, by where they came from.", "source"
)
PROCESSED: Final = _counter("recovery_worker_processed_total", "Evaluations by how they ended.", "status", "source")
PROCESSING: Final = _histogram("recovery_worker_processing_seconds", "One batch from its rows to its commit.")
SUGGESTIONS: Final = _counter("recovery_suggestions_total", "Decisions written.", "source", "decision")
SUGGESTION_LATENCY: Final = _histogram(
    "recovery_suggestions_latency_seconds", "Deciding one batch, without the database."
)
APPROVALS: Final = _counter("recovery_approvals_total", "Verdicts of people.", "decision")

# Dead letters
DEAD_LETTERS: Final = _counter("recovery_dead_letter_added_total", "Evaluations and entries given up.", "reason")
REPLAYED: Final = _counter("recovery_dead_letter_replayed_total", "Dead letters that were replayed.")
ARCHIVED: Final = _counter("m10_archive_total", "Dead letters written to the archive.", "source")

# Outbox
PUBLISHED: Final = _counter("m10_outbox_published_total", "Events written.", "aggregate_type", "event_type")
DELIVERED: Final = _counter("m10_outbox_processed_total", "Events delivered.", "aggregate_type", "event_type")
FAILED: Final = _counter("m10_outbox_failed_total", "Attempts that failed.", "aggregate_type", "event_type")
DELIVERY_SECONDS: Final = _histogram("m10_outbox_processing_seconds", "One attempt.", "event_type")

# Locks and operations
LOCK_ACQUIRED: Final = _counter("m10_lock_acquired_total", "Locks taken.", "lock_name")
LOCK_FAILED: Final = _counter("m10_lock_failed_total", "Locks that another holder had.", "lock_name")
MATVIEW_REFRESH: Final = _counter(
    "recovery_matview_refresh_total", "Refreshes of materialized views.", "view_name", "status"
)

# Sampled from the stores: `m10_dependency_up` tells an unreachable store from an empty one
STORE_UP: Final = _gauge("m10_dependency_up", "1 while the dependency can be used, 0 while it cannot.", "dependency")
CANDIDATES_PENDING: Final = _gauge("recovery_candidates_pending", "Candidates without a verdict.")
EVALUATIONS_DUE: Final = _gauge("m10_evaluations_due", "Candidates with an evaluation due.")
EVALUATIONS_DUE_OLDEST: Final = _gauge("m10_evaluations_due_oldest_seconds", "Age of the evaluation due longest.")
STREAM_LENGTH: Final = _gauge("recovery_stream_length", "Entries in the stream.")
STREAM_PENDING: Final = _gauge("recovery_stream_pending", "Entries delivered and not yet acknowledged.")
STREAM_CONSUMERS: Final = _gauge("recovery_stream_consumers", "Consumers that asked for work within a minute.")
STREAM_OLDEST: Final = _gauge("m10_stream_oldest_seconds", "Age of the oldest entry of the stream.")
DEAD_LETTER_LENGTH: Final = _gauge("recovery_dead_letter_length", "Entries in the dead-letter stream.")
QUEUE_DEPTH: Final = _gauge("recovery_db_queue_depth", "Open rows of the fallback queue.")
QUEUE_OLDEST: Final = _gauge("m10_db_queue_oldest_seconds", "Age of the oldest open row of the fallback queue.")
QUEUE_STALLED: Final = _gauge(
    "recovery_db_queue_stalled", "Rows of the fallback queue claimed for longer than five minutes."
)
OUTBOX_PENDING: Final = _gauge("m10_outbox_pending", "Events neither delivered nor dead.")
OUTBOX_LAG: Final = _gauge("m10_outbox_lag_seconds", "How long the event that is due longest has been due.")
OUTBOX_OLDEST: Final = _gauge("m10_outbox_oldest_seconds", "Age of the oldest open event.")
REPLAY_LOG_SIZE: Final = _gauge("m10_replay_log_size", "Rows of the replay log, by PostgreSQL's statistics.")
ARCHIVE_SIZE: Final = _gauge("m10_archive_size", "Dead letters in the archive, by PostgreSQL's statistics.")
MATVIEW_AGE: Final = _gauge("recovery_matview_age_seconds", "Time since the last refresh that succeeded.", "view_name")
LOCK_ACTIVE: Final = _gauge("m10_lock_active", "1 while the lock is held.", "lock_name")
LAST_COLLECTION: Final = _gauge("m10_last_collection_timestamp", "Unix time of the last sample.")

# The process
ACTOR_RESTARTS: Final = _gauge("m10_actor_restarts", "Restarts of a child since the start.", "child")
THREADS_ABANDONED: Final = _gauge("m10_threads_abandoned", "Threads that did not end when they had to.")
KEY_CONFLICTS: Final = _counter(
    "m10_ingest_key_conflicts_total", "Idempotency keys that came again with another payload."
)
