"""Telling the workers what is due: a stream entry, or a row of the fallback queue where Redis refuses.

A hint is never the record: what is lost here is found by the sweep.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from m10actors import logs, metrics
from m10actors.postgres.errors import StoreError
from m10actors.postgres.failures import enqueue_fallback
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.streams import Head, Message, RedisMisconfigured, RedisUnavailable, StreamProducer
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

LONGEST_BACKLOG = timedelta(hours=1)
"""What has been due for longer is swept, whatever the stream tells."""


class Hints:
    """The one sender of messages, for ingest, workers and the leader; safe to use from many threads."""

    def __init__(self, producer: StreamProducer, database: Database, redis: Dependency, max_len: int) -> None:
        self._producer = producer
        self._database = database
        self._redis = redis
        self._max_len = max_len
        self.fallbacks = 0
        """How often the fallback queue was used: whoever works here and sees it grow looks there at once."""

    def send(self, due: Sequence[tuple[int, int]]) -> None:
        """Tells of generations that became due, as (candidate_id, generation). StoreError if the fallback failed
        too.
        """
        now = datetime.now(UTC)
        self.send_messages([Message(candidate_id, generation, now) for candidate_id, generation in due])

    def send_messages(self, messages: Sequence[Message]) -> None:
        """The same of messages that say more; the fallback queue keeps only which candidate is meant."""
        if not messages:
            return
        refused = self._add(messages)
        if refused:
            failpoint("fallback.before_insert")
            try:
                enqueue_fallback(self._database, [message.candidate_id for message in refused])
            except StoreError:
                self._redis.lost_state()  # what it was not told either
                raise
            self.fallbacks += 1  # a number that a race makes too small is another one all the same
            metrics.INGEST_ENQUEUE.labels("fallback").inc(len(refused))

    def _add(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages that Redis did not take."""
        if self._redis.takes_nothing:
            return messages
        try:
            outcome = self._producer.add(messages, self._max_len)
        except (RedisUnavailable, RedisMisconfigured) as error:
            log.debug("hint_refused", cause=str(error), messages=len(messages))
            return messages
        metrics.INGEST_ENQUEUE.labels("stream").inc(len(outcome.added))
        metrics.STREAM_OVERFLOW.inc(len(outcome.overflow))
        return outcome.overflow


def overdue_after(sweep_after: timedelta, head: Head) -> timedelta:
    """How long something must have been due to be in no entry of the stream, unless its head tells of it: longer than
    what lies behind the head is old.

    Believed up to an hour: an entry with a forged id may look decades old, and taking something twice does no harm.
    """
    return max(sweep_after, min(head.rest_age or timedelta(0), LONGEST_BACKLOG))
