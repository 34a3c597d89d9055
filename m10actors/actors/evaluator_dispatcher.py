"""Takes what waits for leased evaluators, has workers ask them, and writes what they answer.

It keeps the leases of all that is in hand and never runs an evaluator itself, so that no lease runs out within a call.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.asked import Asked, Job, sort
from m10actors.actors.messages import (
    DEAD_LETTER_ROUTER,
    OUTBOX_LEADER,
    Answered,
    Ask,
    GiveUp,
    Ready,
    Tick,
    Wake,
)
from m10actors.actors.outage import Outage
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.evaluators.chain import Outcome, Step
from m10actors.hints import Hints
from m10actors.postgres import evaluations as store
from m10actors.postgres import waiting
from m10actors.postgres.errors import DataRefused, StoreError
from m10actors.postgres.pool import Database
from m10actors.postgres.waiting import Again, Waiting
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

WORK = Tick("work")
SOURCE = "evaluator"


class EvaluatorDispatcher(Actor):
    """A job in hand is with a worker, waits for one, or has been answered and waits to be written."""

    def __init__(
        self,
        link: Link,
        name: str,
        database: Database,
        evaluation: Evaluation,
        hints: Hints,
        lease: timedelta,
        poll: timedelta,
        workers: int,
    ) -> None:
        """`name`: under which leases are held."""
        super().__init__(link)
        self._name = name
        self._database = database
        self._evaluation = evaluation
        self._hints = hints
        self._lease = lease
        self._poll = poll.total_seconds()
        self._workers = workers
        self._idle: dict[str, int] = {}  # the incarnation of each idle worker
        self._asked = Asked()
        self._answers: list[tuple[Job, Mapping[int, Outcome]]] = []
        self._is_fresh = True
        self._renewed_at = time.monotonic()
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        self.tick_in(0, WORK)

    def on_message(self, message: object) -> None:
        match message:
            case Ready():
                self._worker_is_ready(message)
            case Answered(worker, number, outcomes):
                if job := self._asked.answered(worker, number):
                    self._answers.append((job, outcomes))
                else:
                    log.warning("evaluator_answered_late", id=worker)
                self.tick_in(0, WORK)
            case Wake() | Tick("work"):
                self._work()

    def on_end(self) -> None:
        """The drain: what was answered is written, the rest put back uncounted."""
        with suppress(StoreError):  # else the leases end by themselves
            self._write()
            self._put_back([Again(*each.key, timedelta(0), counted=False) for each in self._in_hand()])

    def _work(self) -> None:
        pause = min(self._poll, self._lease.total_seconds() / 3)
        try:
            if self._is_fresh:
                store.take_over(self._database, [self._name])  # what a predecessor that crashed had in hand
                self._is_fresh = False
            for job in self._asked.overdue(time.monotonic()):
                self._failed(job, f"evaluator_timeout: {job.step.name}", "timeout")
            self._write()
            self._keep()
            if not self.stopping.is_set():
                self._hand_out()
        except StoreError as error:  # weather, or a schema of another version
            pause = self._outage.met(error)
        else:
            self._outage.over()
        self.doing(f"{sum(1 for _ in self._asked.jobs())} calls in hand")
        self.tick_in(self._asked.next_deadline(time.monotonic(), pause), WORK)

    def _worker_is_ready(self, ready: Ready) -> None:
        """It says so again and again: what has been told to it meanwhile is on its way."""
        if self._idle.get(ready.worker) == ready.incarnation or self._asked.has(ready.worker, ready.incarnation):
            return
        if job := self._asked.left_by(ready.worker):
            self._failed(job, f"evaluator_failed: {job.step.name}: its worker crashed", "crashed")
        self._idle[ready.worker] = ready.incarnation
        self.tick_in(0, WORK)

    # Take and hand out

    def _hand_out(self) -> None:
        while self._idle and self._asked.waiting:
            self._hand(self._asked.waiting.popleft())
        rules = self._evaluation.rules()
        for step in rules.chain.leased:
            while self._idle and self._asked.count(step.name) < (step.concurrency or self._workers):
                suspects = not any(each.suspect for each in self._in_hand())  # one at a time: what kills, kills alone
                taken = waiting.claim(
                    self._database, self._name, step.name, step.batch_size, self._lease, suspects=suspects
                )
                if not taken:
                    break
                failpoint("evaluator.after_claim")
                metrics.CLAIMED.labels(SOURCE).inc(len(taken))
                self._begin(step, taken, rules)

    def _begin(self, step: Step, taken: Sequence[Waiting], rules: Rules) -> None:
        """What was begun more often than it can have failed has died with its process each time."""
        for dead in [each for each in taken if each.attempts > step.retries + 1]:
            self._give_up(dead, "too_many_attempts")
        alive = [each for each in taken if each.attempts <= step.retries + 1]
        try:
            batch = self._evaluation.read([Work(*each.key, attempts=each.attempts) for each in alive], rules)
        except DataRefused as error:
            if len(alive) > 1:  # one of them cannot be read: find it, and let the others through
                for each in alive:
                    self._begin(step, [each], rules)
            else:
                self._give_up(alive[0], f"store_refused: {error.sqlstate}")
            return
        if batch.due:
            self._hand(Job.of(step, batch, alive))

    def _hand(self, job: Job) -> None:
        if not self._idle:
            self._asked.waiting.append(job)
            return
        worker, incarnation = self._idle.popitem()
        self._asked.put(worker, incarnation, job, time.monotonic())
        self.tell_child(worker, Ask(job.number, job.task, incarnation))

    # Answers

    def _failed(self, job: Job, reason: str, label: str) -> None:
        failures = metrics.EVALUATOR_FAILURES.labels(metrics.evaluator_label(job.step.name), label)
        failures.inc(len(job.taken))
        log.error("evaluator_gave_no_answer", evaluator=job.step.name, reason=reason, candidates=len(job.taken))
        self._answers.append((job, job.fails(reason)))

    def _write(self) -> None:
        """What is answered stays in hand until all of it is written."""
        while self._answers:
            job, outcomes = self._answers[0]
            found = sort(job, outcomes)
            self._settle(job, found.write)
            self._put_back(found.again)
            if job.step.abstains:
                self._pass_on(job, [taken for taken, _ in found.give_up])
            else:
                for taken, reason in found.give_up:
                    self._give_up(taken, reason)
            del self._answers[0]

    def _settle(self, job: Job, outcomes: Mapping[int, Outcome]) -> None:
        if not outcomes:
            return
        failpoint("evaluator.before_write")
        try:
            done = self._evaluation.write(job.batch, outcomes, SOURCE)
        except DataRefused as error:
            if len(outcomes) > 1:  # one of them cannot be written: find it, and let the others through
                for candidate_id, outcome in outcomes.items():
                    self._settle(job, {candidate_id: outcome})
            else:
                [candidate_id] = outcomes
                self._give_up(job.taken[candidate_id], f"store_refused: {error.sqlstate}")
            return
        if done.published:
            self.tell_child(OUTBOX_LEADER, Wake())
        self._hints.send(done.due)

    def _put_back(self, again: Sequence[Again]) -> None:
        if again:
            waiting.ask_again(self._database, self._name, again)

    def _pass_on(self, job: Job, taken: Sequence[Waiting]) -> None:
        """To the evaluators after this one, as if it had abstained."""
        if taken:
            self._asked.waiting.append(Job.of(job.step, job.batch, taken, passed=True))

    def _give_up(self, taken: Waiting, reason: str) -> None:
        metrics.PROCESSED.labels("failed", SOURCE).inc()
        self.tell_child(DEAD_LETTER_ROUTER, GiveUp(reason, *taken.key, attempts=taken.attempts, claimed_by=self._name))

    def _in_hand(self) -> Iterator[Waiting]:
        for job in (*self._asked.jobs(), *(job for job, _ in self._answers)):
            yield from job.taken.values()

    def _keep(self) -> None:
        """Renews the leases of all that is in hand whenever a third of one has passed."""
        now = time.monotonic()
        if now - self._renewed_at < self._lease.total_seconds() / 3:
            return
        self._renewed_at = now
        if keys := [each.key for each in self._in_hand()]:
            store.renew_attempts(self._database, self._name, keys, self._lease)
