"""A batch on its way through a chain of evaluators: what becomes of each candidate depends on that candidate alone."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from m10actors import logs, metrics
from m10actors.evaluators.answers import Answers, InvalidAnswer, ask
from m10actors.evaluators.chain import Chain, Decided, Failed, Judge, Outcome, PutOff, Step, Task, Waits
from m10actors.evaluators.protocol import Later, Proposal
from m10actors.recovery.decision import Decision
from m10actors.recovery.facts import Facts
from m10actors.recovery.gates import Reason

log = logs.logger(__name__)

UNDECIDED = frozenset({Reason.NO_RULE_MATCHED, Reason.BELOW_MIN_CONFIDENCE})


def run(chain: Chain, batch: Sequence[Facts], judge: Judge, beat: Callable[[], None]) -> dict[int, Outcome]:
    """Through the whole chain, by candidate id; a leased evaluator is not asked here. No candidate twice in `batch`.
    `beat` is called before each call.
    """
    return _Run(batch, judge, beat).through(chain.steps)


def run_task(task: Task, beat: Callable[[], None]) -> dict[int, Outcome]:
    """From a leased evaluator on, which is asked here. What the rules before it said stands where nobody decides."""
    begun = _Run(task.batch, task.judge, beat)
    if any(step.evaluator is None for step in task.chain.until(task.evaluator)):
        begun.by_rules()
    first, *others = task.chain.since(task.evaluator)
    if not task.passed:
        begun.by_guest(first)
    return begun.through(others)


@dataclass(slots=True)
class _Way:
    """Of one candidate. `unsure`: a decision that stands if there is no better one."""

    facts: Facts
    seconds: float = 0.0
    unsure: Decision | None = None
    outcome: Outcome | None = None


class _Run:
    def __init__(self, batch: Sequence[Facts], judge: Judge, beat: Callable[[], None]) -> None:
        self._judge = judge
        self._beat = beat
        self._ways = {facts.candidate.id: _Way(facts) for facts in batch}

    def through(self, steps: Iterable[Step]) -> dict[int, Outcome]:
        for step in steps:
            if step.evaluator is None:
                self.by_rules()
            elif not step.leased:
                self.by_guest(step)
            else:
                for way in self._open():
                    way.outcome = Waits(step.name)
        for way in self._open():
            self._decide(way, way.unsure or self._judge.by_nobody(way.facts))
        decided = [way.seconds for way in self._ways.values() if isinstance(way.outcome, Decided)]
        metrics.SUGGESTION_LATENCY.observe_all(decided)
        return {candidate_id: way.outcome for candidate_id, way in self._ways.items() if way.outcome is not None}

    def by_rules(self) -> None:
        for way in self._open():
            self._beat()
            started = time.monotonic()
            try:
                decision = self._judge.by_rules(way.facts)
            except Exception as error:  # noqa: BLE001 - the edge of the rules: one that raises costs its item, not the batch
                way.outcome = Failed(f"evaluator_failed: {type(error).__name__}")
                log.error("evaluator_failed", candidate_id=way.facts.candidate.id, error=error)
                continue
            way.seconds += time.monotonic() - started
            self._heard(way, decision)

    def by_guest(self, step: Step) -> None:
        waiting = self._open()
        for first in range(0, len(waiting), step.batch_size):
            self._call(step, waiting[first : first + step.batch_size])

    def _call(self, step: Step, ways: Sequence[_Way]) -> None:
        assert step.evaluator is not None
        self._beat()
        answers: Answers | None = None
        with _timed(step, ways):
            try:
                answers = ask(step.evaluator, [way.facts for way in ways], may_wait=step.leased)
            except BaseException as error:  # noqa: BLE001 - the edge of a guest: whatever it raises costs its items
                if step.leased or len(ways) == 1:  # what fails under a lease is asked about alone the next time
                    for way in ways:
                        self._failed(step, way, error)
                    return
        if answers is None:
            for way in ways:  # it was one of them, or it is all of them: who fails alone has failed
                self._call(step, [way])
            return
        if answers.strangers:
            metrics.EVALUATOR_FAILURES.labels(metrics.evaluator_label(step.name), "stranger").inc(answers.strangers)
            log.warning("evaluator_answered_for_others", evaluator=step.name, answers=answers.strangers)
        for way in ways:
            self._answered(step, way, answers)

    def _answered(self, step: Step, way: _Way, answers: Answers) -> None:
        candidate_id = way.facts.candidate.id
        if candidate_id in answers.invalid:
            self._failed(step, way, answers.invalid[candidate_id])
            return
        match answers.given.get(candidate_id):
            case Later(_, delay):
                way.outcome = PutOff(delay)
            case Proposal() as proposal:
                self._heard(way, self._judge.by_proposal(way.facts, step.name, proposal))

    def _heard(self, way: _Way, decision: Decision) -> None:
        """The first of those that are unsure stands, if there is something in it."""
        if decision.reason not in UNDECIDED:
            self._decide(way, decision)
        elif way.unsure is None or not way.unsure.matched:
            way.unsure = decision

    def _decide(self, way: _Way, decision: Decision) -> None:
        way.outcome = Decided(decision, round(way.seconds * 1000))

    def _failed(self, step: Step, way: _Way, error: BaseException) -> None:
        """A leased one that abstains is asked again first: that is not decided here."""
        invalid = isinstance(error, InvalidAnswer)
        label = metrics.evaluator_label(step.name)
        metrics.EVALUATOR_FAILURES.labels(label, "invalid_answer" if invalid else "raised").inc()
        log.error("evaluator_failed", candidate_id=way.facts.candidate.id, evaluator=step.name, error=error)
        if step.leased or not step.abstains:
            way.outcome = Failed(f"evaluator_failed: {step.name}: {error if invalid else type(error).__name__}")

    def _open(self) -> list[_Way]:
        return [way for way in self._ways.values() if way.outcome is None]


@contextmanager
def _timed(step: Step, ways: Sequence[_Way]) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        metrics.EVALUATOR_SECONDS.labels(metrics.evaluator_label(step.name)).observe(seconds)
        for way in ways:
            way.seconds += seconds
