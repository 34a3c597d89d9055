"""The one way from due to decided, whatever source the work came from."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from m10actors import logs, metrics
from m10actors.postgres import evaluations as store
from m10actors.postgres.evaluations import Applied, Input
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import Action
from m10actors.recovery.decision import Candidate, Decision, Policy, decide
from m10actors.streams import Entry
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
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
    """What became of a batch. `finished`: those whose effect is committed or that had none. `unseen`: no such row or
    generation
    is there yet. `failed`: the evaluator raised on them. `due`: (candidate_id, generation) that became due
    meanwhile."""

    finished: Sequence[Work] = ()
    unseen: Sequence[Work] = ()
    failed: Sequence[tuple[Work, str]] = ()
    due: Sequence[tuple[int, int]] = ()
    published: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """How it is decided, and what carries each action out: {"code": {"event": …, "destination": …, "template": …}}, as
    SQL takes it.
    """

    policy: Policy
    routes: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _Sorted:
    due: list[tuple[Work, Input]] = field(default_factory=list)
    done: list[Work] = field(default_factory=list)
    unseen: list[Work] = field(default_factory=list)


class Evaluator:
    """Evaluates batches with a constant number of statements each, by the rules of the moment; one per worker."""

    def __init__(self, database: Database, worker: str, rules: Callable[[], Rules]) -> None:
        self._database = database
        self._worker = worker
        self._rules = rules
        self._actions: dict[str, Action] = {}
        self._actions_read_at = float("-inf")

    def evaluate(self, batch: Sequence[Work], source: str, beat: Callable[[], None] = lambda: None) -> Evaluated:
        """StoreUnavailable: nothing was written. StoreRefused: one of the batch cannot be read or written; ask again
        one by one. `beat` is called before each decision.
        """
        if not batch:
            return Evaluated()
        started, rules = time.monotonic(), self._rules()
        sorted_ = _sort(batch, store.inputs(self._database, list({work.candidate_id for work in batch})))
        failpoint("eval.after_read")
        decided, failed = self._decide(sorted_.due, rules.policy, beat)
        failpoint("eval.after_decision")
        open_ = {work.candidate_id for work in (*sorted_.unseen, *(work for work, _ in failed))}
        work_ids = [work.work_id for work in batch if work.work_id is not None and work.candidate_id not in open_]
        applied: list[Applied] = []
        if decided:
            applied = store.apply(self._database, self._worker, [d[1:] for d in decided], rules.routes, work_ids)
        elif work_ids:
            store.complete_works(self._database, work_ids)
        failpoint("eval.after_commit")
        _count(batch, applied, failed, source, time.monotonic() - started)
        _count_published(applied, {candidate.id: decision for _, candidate, decision, _ in decided}, rules)
        return Evaluated(
            finished=[*sorted_.done, *(work for work, *_ in decided)],
            unseen=sorted_.unseen,
            failed=failed,
            due=[(a.candidate_id, a.message_due) for a in applied if a.message_due is not None],
            published=sum(a.event_id is not None for a in applied),
        )

    def _decide(
        self, due: Sequence[tuple[Work, Input]], policy: Policy, beat: Callable[[], None]
    ) -> tuple[list[tuple[Work, Candidate, Decision, int]], list[tuple[Work, str]]]:
        decided, failed = [], []
        actions = self._known_actions() if due else {}
        for work, given in due:
            beat()
            started = time.monotonic()
            try:
                decision = decide(given.candidate, given.history, actions, policy)
            except Exception as error:  # noqa: BLE001 - the edge of an evaluator: one that raises costs its item, not the batch
                failed.append((work, f"evaluator_failed: {type(error).__name__}"))
                log.error("evaluator_failed", candidate_id=work.candidate_id, error=error)
            else:
                decided.append((work, given.candidate, decision, round((time.monotonic() - started) * 1000)))
            metrics.SUGGESTION_LATENCY.observe(time.monotonic() - started)
        return decided, failed

    def _known_actions(self) -> dict[str, Action]:
        """The active actions, read again after ten seconds."""
        if time.monotonic() - self._actions_read_at > 10:
            self._actions = store.actions(self._database)
            self._actions_read_at = time.monotonic()
        return self._actions


def _sort(batch: Sequence[Work], inputs: Mapping[int, Input]) -> _Sorted:
    """Which of the batch are due, done (evaluated, superseded, or nothing due), or not to be seen yet."""
    result = _Sorted()
    taken: set[int] = set()
    for work in batch:
        given = inputs.get(work.candidate_id)
        if given is None or (work.generation is not None and work.generation > given.candidate.generation):
            result.unseen.append(work)
            continue
        current = given.candidate.generation
        is_due = current > given.evaluated_generation and work.generation in (None, current)
        if is_due and work.candidate_id not in taken:
            taken.add(work.candidate_id)
            result.due.append((replace(work, generation=current) if work.generation is None else work, given))
        else:
            result.done.append(work)
    return result


def _count(
    batch: Sequence[Work], applied: Sequence[Applied], failed: Sequence[tuple[Work, str]], source: str, seconds: float
) -> None:
    metrics.PROCESSING.observe(seconds)
    metrics.PROCESSED.labels("evaluated", source).inc(len(applied))
    metrics.PROCESSED.labels("failed", source).inc(len(failed))
    metrics.PROCESSED.labels("nothing_due", source).inc(len(batch) - len(applied) - len(failed))
    for each in applied:
        metrics.SUGGESTIONS.labels(metrics.source_label(each.source), each.decision).inc()


def _count_published(applied: Sequence[Applied], decisions: Mapping[int, Decision], rules: Rules) -> None:
    for each in applied:
        if each.event_id is not None:
            event_type = rules.routes[decisions[each.candidate_id].action or ""]["event"]
            metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(str(event_type))).inc()
