"""The one way from due to decided, whatever source the work came from."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import assert_never

from msgspec import Struct, structs

from m10actors import metrics
from m10actors.evaluators.chain import BY_RULES, Chain, Decided, Failed, Judge, Outcome, PutOff, Waits
from m10actors.evaluators.protocol import Proposal
from m10actors.evaluators.run import run
from m10actors.postgres import evaluations as store
from m10actors.postgres import inputs, waiting
from m10actors.postgres.evaluations import Applied, Judged
from m10actors.postgres.inputs import Input
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import Action
from m10actors.recovery.decision import NOBODY, Decision, by_rules, conclude
from m10actors.recovery.facts import Candidate, Facts
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import CONTRACT_RULES, Matches, RuleMatch
from m10actors.rulebook import Book
from m10actors.streams import Entry
from m10actors.testing.failpoints import failpoint


class Work(Struct, frozen=True):
    """One thing to evaluate. `generation` None: the one that is due. It came with a stream entry, a fallback row, or
    neither.

    `attempts`: how often it was begun, 0 for the first group delivery, which is not counted.
    """

    candidate_id: int
    generation: int | None
    entry: Entry | None = None
    work_id: int | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What became of a batch. `finished`: those whose effect is committed, that had none, or of which it is recorded
    that they wait for a leased evaluator (`waiting` of them). `unseen`: no such row or generation is there yet.
    `failed`: an evaluator failed on them. `due`: (candidate_id, generation) that became due meanwhile.
    """

    finished: Sequence[Work] = ()
    unseen: Sequence[Work] = ()
    failed: Sequence[tuple[Work, str]] = ()
    due: Sequence[tuple[int, int]] = ()
    published: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """How it is decided, by whom, within which limits, and what carries each action out: {"code": {"event": …,
    "destination": …, "template": …}}, as SQL takes it.
    """

    policy: Policy
    routes: Mapping[str, Mapping[str, object]]
    book: Book = field(default_factory=lambda: Book(CONTRACT_RULES))
    limits: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    chain: Chain = BY_RULES

    def judge(self) -> Judge:
        """As these rules have it."""
        return Judge(self._by_rules, self._by_proposal, self._by_nobody)

    def _by_rules(self, facts: Facts) -> Decision:
        decision = by_rules(facts, self.policy, self.book.rules)
        if decision.failed_rules:
            self.book.switch_off(decision.failed_rules)
        return decision

    def _by_proposal(self, facts: Facts, evaluator: str, given: Proposal) -> Decision:
        matched = (RuleMatch(evaluator, given.action, given.confidence, 0.0, given.because),)
        return conclude(facts, Matches(matched), self.policy, evaluator=evaluator, details=given.details)

    def _by_nobody(self, facts: Facts) -> Decision:
        return conclude(facts, Matches(), self.policy, evaluator=NOBODY)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read of some works, and the rules of that moment, by which all of it is decided."""

    rules: Rules
    due: Mapping[int, tuple[Work, Facts]]
    done: Sequence[Work] = ()
    unseen: Sequence[Work] = ()

    @property
    def facts(self) -> list[Facts]:
        return [facts for _, facts in self.due.values()]

    def key(self, candidate_id: int) -> tuple[int, int]:
        """(candidate_id, generation) of one that is due."""
        return candidate_id, self.due[candidate_id][1].candidate.generation


class Evaluation:
    """Evaluates batches with a constant number of statements each, by the rules of the moment; one per worker."""

    def __init__(self, database: Database, worker: str, rules: Callable[[], Rules]) -> None:
        self._database = database
        self._worker = worker
        self.rules = rules
        self._actions: Mapping[str, Action] = {}
        self._actions_read_at = float("-inf")

    def leased(self) -> list[str]:
        """The names of the evaluators that workers of their own ask."""
        return [step.name for step in self.rules().chain.leased]

    def evaluate(self, batch: Sequence[Work], source: str, beat: Callable[[], None] = lambda: None) -> Evaluated:
        """StoreUnavailable: nothing was written. StoreRefused: one of the batch cannot be read or written; ask again
        one by one. `beat` is called before each call of an evaluator.
        """
        if not batch:
            return Evaluated()
        started = time.monotonic()
        read = self.read(batch, self.rules())
        failpoint("eval.after_read")
        chain = read.rules.chain if read.rules.policy.evaluator_enabled else BY_RULES
        outcomes = run(chain, read.facts, read.rules.judge(), beat)
        failpoint("eval.after_decision")
        evaluated = self.write(read, outcomes, source)
        metrics.PROCESSING.observe(time.monotonic() - started)
        return evaluated

    def read(self, batch: Sequence[Work], rules: Rules) -> Batch:
        """What is due of a batch, and what there is to know of it. No candidate is due twice."""
        sorted_ = _sort(batch, inputs.read(self._database, list({work.candidate_id for work in batch})))
        actions = self._known_actions() if sorted_.due else {}
        due = {work.candidate_id: (work, Facts(given.candidate, given.history, actions)) for work, given in sorted_.due}
        return Batch(rules, due, sorted_.done, sorted_.unseen)

    def write(self, batch: Batch, outcomes: Mapping[int, Outcome], source: str) -> Evaluated:
        """Writes what was decided, and what has to wait for a leased evaluator. What was put off is left alone."""
        sorted_ = _Outcomes.of(batch, outcomes)
        decided, waits, failed = sorted_.decided, sorted_.waits, sorted_.failed
        if waits:
            named = [(*batch.key(work.candidate_id), evaluator) for work, evaluator in waits]
            waiting.wait_for(self._database, self._worker, named)
        finished = [*batch.done, *(work for work, *_ in decided), *(work for work, _ in waits)]
        open_ = {work.candidate_id for work in (*batch.unseen, *(work for work, _ in failed))}
        work_ids = [w.work_id for w in finished if w.work_id is not None and w.candidate_id not in open_]
        applied: list[Applied] = []
        if decided:
            silent = {step.name for step in batch.rules.chain.steps if not step.provenance}
            judged = [Judged(c, d, ms, provenance=d.evaluator not in silent) for _, c, d, ms in decided]
            applied = store.apply(
                self._database, self._worker, judged, batch.rules.routes, work_ids, batch.rules.limits
            )
        elif work_ids:
            store.complete_works(self._database, work_ids)
        failpoint("eval.after_commit")
        _count(batch, sorted_, applied, source)
        return Evaluated(
            finished=finished,
            unseen=batch.unseen,
            failed=failed,
            due=[(a.candidate_id, a.message_due) for a in applied if a.message_due is not None],
            published=sum(a.event_id is not None for a in applied),
            waiting=len(waits),
        )

    def _known_actions(self) -> Mapping[str, Action]:
        """The active actions, read again after ten seconds."""
        if time.monotonic() - self._actions_read_at > 10:
            self._actions = MappingProxyType(inputs.actions(self._database))
            self._actions_read_at = time.monotonic()
        return self._actions


@dataclass(frozen=True, slots=True)
class _Sorted:
    due: list[tuple[Work, Input]] = field(default_factory=list)
    done: list[Work] = field(default_factory=list)
    unseen: list[Work] = field(default_factory=list)


def _sort(batch: Sequence[Work], inputs: Mapping[int, Input]) -> _Sorted:
    """Which of the batch are due, done (evaluated, superseded, or nothing due), or not to be seen yet."""
    result = _Sorted()
    taken: set[int] = set()
    for work in batch:
        given = inputs.get(work.candidate_id)
        if given is None or (work.generation is not None and work.generation > given.generation):
            result.unseen.append(work)
            continue
        current = given.generation
        is_due = current > given.evaluated_generation and work.generation in (None, current)
        if is_due and work.candidate_id not in taken:
            taken.add(work.candidate_id)
            result.due.append((structs.replace(work, generation=current) if work.generation is None else work, given))
        else:
            result.done.append(work)
    return result


@dataclass(frozen=True, slots=True)
class _Outcomes:
    decided: list[tuple[Work, Candidate, Decision, int]] = field(default_factory=list)
    waits: list[tuple[Work, str]] = field(default_factory=list)
    failed: list[tuple[Work, str]] = field(default_factory=list)

    @classmethod
    def of(cls, batch: Batch, outcomes: Mapping[int, Outcome]) -> "_Outcomes":
        result = cls()
        for candidate_id, outcome in outcomes.items():
            work, facts = batch.due[candidate_id]
            match outcome:
                case Decided(decision, milliseconds):
                    result.decided.append((work, facts.candidate, decision, milliseconds))
                case Waits(evaluator):
                    result.waits.append((work, evaluator))
                case Failed(reason):
                    result.failed.append((work, reason))
                case PutOff():
                    pass
                case _:
                    assert_never(outcome)
        return result


def _count(batch: Batch, outcomes: _Outcomes, applied: Sequence[Applied], source: str) -> None:
    metrics.PROCESSED.labels("evaluated", source).inc(len(applied))
    metrics.PROCESSED.labels("waiting", source).inc(len(outcomes.waits))
    metrics.PROCESSED.labels("failed", source).inc(len(outcomes.failed))
    nothing_due = len(batch.done) + len(batch.unseen) + len(outcomes.decided) - len(applied)
    metrics.PROCESSED.labels("nothing_due", source).inc(nothing_due)
    for (source_of, decision), times in Counter((each.source, each.decision) for each in applied).items():
        metrics.SUGGESTIONS.labels(metrics.source_label(source_of), decision).inc(times)
    actions = {work.candidate_id: decision.action for work, _, decision, _ in outcomes.decided}
    published = Counter(actions[each.candidate_id] for each in applied if each.event_id is not None)
    for action, times in published.items():
        event_type = batch.rules.routes[action or ""]["event"]
        metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(str(event_type))).inc(times)
