"""How `m10 candidates` draws candidates: in a list, as one stands, in full."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from m10actors.cli import output
from m10actors.cli.output import Count, When
from m10actors.postgres.candidates import Candidate, SimilarCase, Summary
from m10actors.postgres.inspection import loaded

_APART = ("explain", "rules_evaluated", "inputs", "provenance", "events", "dead_letters", "error_message", "suggestion")

_MESSAGE_SHOWN = 2000
_LIKE = {True: "the same", False: "same code"}


def table(found: Iterable[Summary]) -> None:
    """A row for each."""
    columns = ("id", "count", "code", "action", "confidence", "decision", "execution", "last seen", "source")
    output.table(columns, map(_row, found))


def standing(now: Candidate) -> None:
    """The evaluation as it is now, and what was decided about it: for somebody who had seen another one."""
    evaluation = f"{now.evaluated_generation}, due: {now.generation}" if now.due else now.evaluated_generation
    cells = {
        "id": now.id,
        "count": Count(now.occurrence_count),
        "evaluation": evaluation,
        "action": now.action,
        "confidence": _confidence(now),
        "decision": now.decision,
        "by": now.decided_by,
        "execution": now.execution_status,
        "suggestion": now.suggestion,
    }
    output.table(list(cells), [list(cells.values())])


def case(candidate: Candidate, similar: Sequence[SimilarCase]) -> None:
    """What a person has to see of a candidate to decide it: what failed, what came of it before, what is proposed."""
    about = {
        "code": candidate.error_code,
        "source": candidate.source,
        "occurrences": Count(candidate.occurrence_count),
        "first seen": When(candidate.first_seen),
        "last seen": When(candidate.last_seen),
    }
    output.record(f"candidate {candidate.id}", about)
    output.text("message", (candidate.message or "")[:_MESSAGE_SHOWN].splitlines())
    columns = ("candidate", "failure", "action", "came of it", "decided by", "when")
    before = [
        (each.candidate_id, _LIKE[each.is_same], each.action, each.outcome, each.decided_by, When(each.closed_at))
        for each in similar
    ]
    output.section("similar cases", columns, before)
    rules = candidate.rules_evaluated if isinstance(candidate.rules_evaluated, list) else []
    why = [
        (rule.get("rule"), rule.get("action"), _score(rule.get("score")), rule.get("because"))
        for rule in rules
        if isinstance(rule, dict)
    ]
    output.section("why", ("rule", "action", "score", "because"), why)
    proposed = {"proposed": candidate.action or "no action", "confidence": _confidence(candidate)}
    sys.stdout.write("\n")
    output.record(candidate.suggestion, proposed)


def show(candidate: Candidate) -> None:
    """All about one candidate."""
    about = {name: value for name, value in asdict(candidate).items() if name not in _APART}
    output.record(f"candidate {candidate.id}: {candidate.suggestion}", about | {"confidence": _confidence(candidate)})
    provenance = [
        (When(each.created_at), each.event_type, each.action, each.actor, each.details) for each in candidate.provenance
    ]
    output.section("what happened", ("when", "what", "action", "by", "details"), provenance)
    events = [
        (each.id, each.state, each.event_type, each.destination, Count(each.retry_count), each.last_error)
        for each in candidate.events
    ]
    output.section("events", ("id", "state", "event", "destination", "failed tries", "last error"), events)
    deaths = [
        (each.dl_msg_id, When(each.dead_lettered_at), each.event_id, each.reason) for each in candidate.dead_letters
    ]
    output.section("dead letters", ("dl_msg_id", "when", "event", "reason"), deaths)
    for each in candidate.inputs:
        output.pretty(f"evidence: {each.type}", loaded(each.value))
    output.pretty("evaluation", {"explain": candidate.explain, "rules": candidate.rules_evaluated})


def _row(candidate: Summary) -> tuple[object, ...]:
    return (
        candidate.id,
        Count(candidate.occurrence_count),
        candidate.error_code,
        candidate.action,
        _confidence(candidate),
        "due" if candidate.due else candidate.decision,
        candidate.execution_status,
        When(candidate.last_seen),
        candidate.source,
    )


def _confidence(candidate: Summary) -> str:
    return f"{candidate.confidence:.2f}"


def _score(value: object) -> object:
    """Like a confidence, where it is a number: other programs write this column too."""
    return f"{value:.2f}" if isinstance(value, float) else value
