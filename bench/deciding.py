"""`python -m bench.deciding`: what deciding a batch and making its JSON costs, in µs of processor time per candidate.

Three batches of 500: one failure that the ten rules of the contract know, seen five times; the same with past cases;
and the failures of the labelled sample, most of which only the wider rules know, many by their messages. Nothing is
read or written.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

from m10actors.postgres.json_text import json_bytes
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.confidence import Cases
from m10actors.recovery.contexts import Contexts
from m10actors.recovery.decision import Decision, by_rules
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts, History
from m10actors.recovery.fingerprint import fingerprint
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import CONTRACT_RULES, Ruleset
from m10actors.rulebook import load
from m10actors.rulebook.cases import read_cases
from m10actors.shipped import shipped
from m10actors.testing.accuracy import HALVES, LABELLED

BATCH = 500
ROUNDS = 60
POLICY = Policy(auto_execute=True, destinations_for=frozenset(SEEDED_ACTIONS))
PROVEN = History(code=(Cases("retry_exponential", 10, 9, 0.9, 8.0), Cases("notify_ops", 3, 1, 0.3, 2.0)))


def main() -> None:
    rules = {"the ten": CONTRACT_RULES, "shipped": load(shipped("config/rules.toml"))}
    print(_row("failures", "rules", "decide", "values", "JSON"))
    for failures, batch in batches().items():
        for name, ruleset in rules.items():
            print(_row(failures, name, *(f"{figure:.1f}" for figure in figures(batch, ruleset))))


def batches() -> Mapping[str, Sequence[Facts]]:
    """By what is in them."""
    known = [_facts(nth, "TIMEOUT", f"no answer from host {nth} within 30 s", 5) for nth in range(BATCH)]
    sample = [case for half in HALVES for case, _ in read_cases(LABELLED / f"{half}.toml")]
    return {
        "TIMEOUT": known,
        "with past cases": [Facts(each.candidate, PROVEN, SEEDED_ACTIONS) for each in known],
        "of the sample": [
            _facts(nth, case.code, case.message, case.occurrences)
            for nth, case in enumerate(islice(cycle(sample), BATCH))
        ],
    }


def figures(batch: Sequence[Facts], rules: Ruleset) -> tuple[float, float, float]:
    """µs per candidate: deciding; making explain, rules and record of a decision; making JSON text of these."""
    decided = [by_rules(facts, POLICY, rules) for facts in batch]
    values = _values(decided)
    return (
        microseconds(lambda: [by_rules(facts, POLICY, rules) for facts in batch]),
        microseconds(lambda: _values(decided)),
        microseconds(lambda: json_bytes(values)),
    )


def microseconds(work: Callable[[], object]) -> float:
    """Of this thread's processor time, per candidate; the least of some rounds, as other load only adds to it."""
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        work()
        least = min(least, time.thread_time() - started)
    return least / BATCH * 1e6


def _values(decided: Sequence[Decision]) -> list[object]:
    contexts = Contexts()
    rows = [
        [each.explain(), each.rules_evaluated(), each.own(), contexts.digest(each), each.suggestion] for each in decided
    ]
    return [rows, contexts.by_digest]


def _facts(nth: int, code: str, message: str, occurrences: int) -> Facts:
    candidate = Candidate(
        id=nth,
        generation=1,
        error_code=code,
        error_message=message,
        source="api",
        fingerprint=fingerprint(code, message),
        occurrence_count=occurrences,
        at=datetime(2026, 1, 5, tzinfo=UTC),
        age=timedelta(seconds=90),
    )
    return Facts(candidate, NO_HISTORY, SEEDED_ACTIONS)


def _row(*cells: str) -> str:
    return "".join(f"{cell:<18}" for cell in cells).rstrip()


if __name__ == "__main__":
    main()
