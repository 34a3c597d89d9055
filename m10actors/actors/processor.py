"""The one way of a batch through the evaluator, whatever source it came from, and what is done about each outcome."""

from collections.abc import Sequence

from m10actors import logs, metrics
from m10actors.actors.acknowledgements import Acknowledgements
from m10actors.actors.attempts import Attempts
from m10actors.actors.messages import DEAD_LETTER_ROUTER, EVALUATOR_DISPATCHER, OUTBOX_LEADER, GiveUp, Wake
from m10actors.evaluation import Evaluated, Evaluation, Work
from m10actors.hints import Hints
from m10actors.postgres.errors import DataRefused
from m10actors.supervision import Actor
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)


class Processor:
    """Speaks to other actors for the one it belongs to, under whose `name` attempts are begun. StoreError: what is not
    settled is to be processed again.
    """

    def __init__(
        self,
        actor: Actor,
        name: str,
        evaluation: Evaluation,
        attempts: Attempts,
        acknowledgements: Acknowledgements,
        hints: Hints,
        max_attempts: int,
    ) -> None:
        self._actor = actor
        self._name = name
        self._evaluation = evaluation
        self._attempts = attempts
        self._acknowledgements = acknowledgements
        self._hints = hints
        self._max_attempts = max_attempts

    def process(self, works: Sequence[Work], source: str) -> None:
        try:
            self._settle(self._evaluation.evaluate(works, source, self._beat))
        except DataRefused as error:
            if len(works) > 1:  # one of them cannot be read or written: find it, and let the others through
                for work in works:
                    self.process([work], source)
                return
            [work] = works
            self.refused(work, error, source)

    def refused(self, work: Work, error: DataRefused, source: str) -> None:
        """It cannot be read or written, however often it is tried."""
        metrics.PROCESSED.labels("failed", source).inc()
        log.error("evaluation_refused", candidate_id=work.candidate_id, error=str(error))
        self.give_up(work, f"store_refused: {error.sqlstate}")

    def give_up(self, work: Work, reason: str) -> None:
        self._actor.tell_child(
            DEAD_LETTER_ROUTER,
            GiveUp(reason, work.candidate_id, work.generation, work.entry, work.attempts, claimed_by=self._name),
        )

    def _beat(self) -> None:
        """Between two decisions: shows that it goes on, and keeps what it has begun."""
        self._actor.goes_on()
        self._attempts.keep()

    def _settle(self, result: Evaluated) -> None:
        failpoint("eval.before_ack")
        if result.published:
            self._actor.tell_child(OUTBOX_LEADER, Wake())
        if result.waiting:
            self._actor.tell_child(EVALUATOR_DISPATCHER, Wake())
        for work, reason in result.failed:
            if work.attempts >= self._max_attempts:  # else it comes again when its lease has run out
                self.give_up(work, reason)
        self._acknowledgements.add(work.entry.entry_id for work in result.finished if work.entry is not None)
        self._acknowledgements.send()
        self._hints.send(result.due)
