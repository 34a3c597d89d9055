"""Why it was decided so, in words, and what would change it: by example."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from m10actors.recovery.actions import SEEDED_ACTIONS, Action
from m10actors.recovery.conditions import All, Code, Rate
from m10actors.recovery.confidence import Cases
from m10actors.recovery.decision import NOBODY, conclude, decide
from m10actors.recovery.explaining import differences, explain, told
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts, History
from m10actors.recovery.gates import Policy
from m10actors.recovery.quiet_hours import QuietHours
from m10actors.recovery.rules import CONTRACT_RULES, Matches, Rule, Ruleset

MINUTE = timedelta(minutes=1)
ALLOWED = Policy(auto_execute=True, destinations_for=frozenset(SEEDED_ACTIONS))
NIGHT = datetime(2026, 1, 5, 3, 30, tzinfo=UTC)


def candidate(code: str, times: int = 1, **fields: object) -> Candidate:
    seen = Candidate(1, 1, code, "upstream\nsaid no", "billing", "f", times, at=NIGHT)
    return structs.replace(seen, **fields)  # type: ignore[arg-type]


def explained(
    failed: Candidate, policy: Policy = ALLOWED, history: History = NO_HISTORY, rules: Ruleset = CONTRACT_RULES
) -> dict[str, tuple[str, ...]]:
    return dict(told(explain(decide(failed, history, SEEDED_ACTIONS, policy, rules), rules)))


def changes(failed: Candidate, policy: Policy = ALLOWED, **others: object) -> list[str]:
    return list(explained(failed, policy, **others)["What would change it"])  # type: ignore[arg-type]


def test_it_says_what_failed_on_one_line() -> None:
    failed = candidate("TIMEOUT", 7, age=timedelta(hours=3, minutes=20), rates=((10 * MINUTE, 6.5),))
    assert explained(failed)["What failed"] == (
        "TIMEOUT from billing, seen 7 times, for the first time 3 h 20 min before",
        '"upstream said no"',
        "about 6 of them within 10 min",
    )


def test_it_spells_out_the_confidence() -> None:
    assert explained(candidate("TIMEOUT", 10))["Why a confidence of 1"][:2] == (
        "(0.85 + 0.85 + 0.7) / 3 = 0.8, the mean of the best 3 scores",
        "0.8 +0.1 (manual_review_high) +0.1 (escalate_repeated) = 1",
    )
    assert explained(candidate("HTTP_503"))["Why a confidence of 0.8"][0] == "0.8, the only score"
    assert explained(candidate("PARSE_ERROR"))["Why a confidence of 0"][0] == "0, because nothing matched"
    beyond = Ruleset((Rule("sure", "notify_ops", 0.95, Code(("X",)), adjustment=0.2),))
    [_, adjusted, _] = explained(candidate("X"), rules=beyond)["Why a confidence of 1"]
    assert adjusted == "0.95 +0.2 (sure) = 1.15, and it is never more than 1"


def test_it_says_of_a_cold_start_what_is_missing() -> None:
    cold = explained(candidate("TIMEOUT"))["Why a confidence of 0.85"]
    assert cold[-1] == "history: no past cases yet: 0 of the 3 that history needs"
    history = History(fingerprint=(Cases("notify_ops", 2, 2, 1.0, 1.5),))
    some = explained(candidate("TIMEOUT"), history=history)["Why a confidence of 0.85"]
    assert some[-2:] == (
        "history: 2 past cases so far: 2 of the 3 that history needs",
        "notify_ops, this very failure: it helped in 2 of 2 cases, which weigh 1.5 by age;"
        " fewer than 3 count for nothing",
    )


def test_it_spells_out_what_past_cases_are_worth() -> None:
    history = History(code=(Cases("skip_task", 3, 2, 0.6, 2.5),))
    assert explained(candidate("PARSE"), history=history)["Why a confidence of 0"][-1] == (
        "skip_task, this error code: it helped in 2 of 3 cases, which weigh 2.5 by age: "
        "0.7 × 0.6 by weight + 0.3 × 0.667 by number = 0.62"
    )


def test_it_names_the_runner_up_and_which_of_equals_goes_first() -> None:
    sections = explained(candidate("TIMEOUT", 10))
    assert sections["Why retry_exponential"][-1] == (
        "two have the best score, 0.85: timeout_retry goes first by its priority or its place"
    )
    assert sections["The runner-up"] == (
        "manual_intervention with 0.85, 0 less",
        "by manual_review_high alone it would have a confidence of 0.95",
    )
    assert explained(candidate("TIMEOUT"))["The runner-up"] == ("none: no other action was proposed",)


def test_it_names_the_first_closed_gate_with_its_value_and_its_limit_and_those_behind_it() -> None:
    failed = candidate("AUTH", since_executed=4 * MINUTE)
    policy = Policy(quiet_hours=QuietHours.parse(["22:00-07:00"], "UTC"))
    assert explained(failed, policy)["Why not by itself"] == (
        "the confidence is 0.75, and from 0.8 on it acts by itself (decisions.auto_confidence)",
        "behind it: acting without a person is switched off (decisions.auto_execute)",
        "behind it: nothing says where notify_ops goes (actions.notify_ops in the configuration)",
        "behind it: an action was carried out 4 min before, and for 15 min none follows by itself: 11 min more"
        " (decisions.execution_cooldown)",
        "behind it: 03:30 UTC lies in quiet hours, 22:00-07:00 UTC (autonomy.quiet_hours)",
    )
    assert explained(failed, policy)["What would change it"][-1] == "for it to act by itself 5 gates have to open"


def test_what_was_refused_by_the_database_is_the_reason() -> None:
    decision = decide(candidate("TIMEOUT"), NO_HISTORY, SEEDED_ACTIONS, ALLOWED)
    explanation = explain(decision, CONTRACT_RULES, refused="capped: 5 an hour for source billing")
    assert not explanation.executes
    assert all(flip.after.action != "retry_exponential" for flip in explanation.flips)
    assert dict(told(explanation))["What would change it"][-1].startswith("what PostgreSQL did not admit waits")
    assert dict(told(explanation))["Why not by itself"] == (
        "everything was in favour of it, but PostgreSQL did not admit it: capped: 5 an hour for source billing",
    )


@pytest.mark.parametrize(
    ("failed", "policy", "smallest"),
    [
        (candidate("PARSE_ERROR", 3), ALLOWED, "2 more occurrences, 5 in all: notify_ops is carried out by itself"),
        (candidate("PARSE_ERROR", 1), ALLOWED, "4 more occurrences, 5 in all: notify_ops is carried out by itself"),
        (candidate("PARSE_ERROR", 10), ALLOWED, "seen 9 times instead of 10: notify_ops is carried out by itself"),
        (
            candidate("AUTH"),
            ALLOWED,
            "decisions.auto_confidence 0.75 instead of 0.8: notify_ops is carried out by itself",
        ),
        (
            candidate("TIMEOUT", since_executed=0 * MINUTE),
            ALLOWED,
            "15 min later: retry_exponential is carried out by itself",
        ),
        (
            candidate("TIMEOUT", since_executed=4 * MINUTE),
            ALLOWED,
            "11 min later: retry_exponential is carried out by itself",
        ),
        (
            candidate("TIMEOUT"),
            replace(ALLOWED, quiet_hours=QuietHours.parse(["22:00-07:00"], "UTC")),
            "3 h 30 min later: retry_exponential is carried out by itself",
        ),
        (
            candidate("TIMEOUT"),
            replace(ALLOWED, auto_confidence=0.86, execution_cooldown=MINUTE),
            "decisions.auto_confidence 0.85 instead of 0.86: retry_exponential is carried out by itself",
        ),
        (
            candidate("UNKNOWN", 5),
            replace(ALLOWED, auto_confidence=0.7),
            "decisions.auto_confidence 0.71 instead of 0.7: notify_ops waits for a person",
        ),
    ],
)
def test_the_smallest_change(failed: Candidate, policy: Policy, smallest: str) -> None:
    assert changes(failed, policy)[0] == f"the smallest: {smallest}"


def test_one_more_outcome_can_be_the_smallest_change() -> None:
    history = History(code=(Cases("skip_task", 3, 2, 0.6, 2.5),), fingerprint=(Cases("skip_task", 2, 2, 1.0, 2.0),))
    assert changes(candidate("TIMEOUT"), history=history)[0] == (
        "the smallest: 1 more case in which skip_task helped with this very failure: skip_task waits for a person"
    )


def test_a_rule_can_be_named_without_its_adjustment_with_another_score_or_off() -> None:
    rules = Ruleset((Rule("mine", "notify_ops", 0.75, Code(("MINE",)), adjustment=0.1),))
    told_changes = changes(candidate("MINE"), rules=rules)
    for expected in (
        "rule mine without its adjustment of +0.1: notify_ops waits for a person",
        "rule mine with a score of 0.69 instead of 0.75: notify_ops waits for a person",
        "rule mine switched off: no action is proposed",
    ):
        assert any(line.endswith(expected) for line in told_changes), expected


def test_a_rule_that_is_off_lets_those_of_a_later_tier_count() -> None:
    rules = Ruleset(
        (
            Rule("ours", "skip_task", 0.9, Code(("MINE",))),
            Rule("theirs", "notify_ops", 0.9, Code(("MINE",)), tier=2),
        )
    )
    assert any(
        line.endswith("rule ours switched off: notify_ops is carried out by itself")
        for line in changes(candidate("MINE"), rules=rules)
    )


def test_a_rate_is_reached_by_occurrences() -> None:
    rules = Ruleset((Rule("storm", "notify_ops", 0.9, All((Code(("X",)), Rate(20, MINUTE)))),))
    storm = candidate("X", 90, rates=((MINUTE, 17.5),))
    assert changes(storm, rules=rules)[0] == (
        "the smallest: 3 more occurrences, 93 in all: notify_ops is carried out by itself"
    )


def test_what_acts_is_told_how_it_would_wait_and_what_waits_how_it_would_act() -> None:
    acting = explain(decide(candidate("TIMEOUT"), NO_HISTORY, SEEDED_ACTIONS, ALLOWED), CONTRACT_RULES)
    assert dict(told(acting))["Why by itself"] == ("every gate is open",)
    assert all(not flip.after.execute for flip in acting.flips)
    waiting = changes(candidate("HTTP_503"))
    assert any(line.endswith("circuit_breaker is carried out by itself") for line in waiting)


def test_where_no_single_change_does_it_that_is_said() -> None:
    nothing = Ruleset(())
    assert changes(candidate("X"), rules=nothing) == ["no single change that was looked for"]


def test_what_has_changed_since_is_told() -> None:
    then = decide(candidate("TIMEOUT"), NO_HISTORY, SEEDED_ACTIONS, Policy())
    history = History(code=(Cases("notify_ops", 4, 3, 0.8, 3.5),))
    actions = {**SEEDED_ACTIONS, "skip_task": Action("skip_task", is_automated=False, requires_approval=True)}
    other = Ruleset(CONTRACT_RULES.rules[:1])
    now = decide(candidate("TIMEOUT", 3), history, actions, Policy(auto_execute=True), other)
    assert differences(then, then) == ()
    assert differences(then, now) == (
        "it was seen 1 time then, 3 now",
        "there were 0 past cases of this error code then, 4 now",
        f"other rules: version {CONTRACT_RULES.version} then, {other.version} now",
        "decisions.auto_execute has another value in the configuration",
        "skip_task has changed in suggestion_action",
    )


def test_that_no_evaluator_decided_is_told() -> None:
    facts = Facts(candidate("X"), NO_HISTORY, SEEDED_ACTIONS)
    decision = conclude(facts, Matches(), ALLOWED, evaluator=NOBODY)
    assert dict(told(explain(decision)))["Why no action"] == ("none of the evaluators that were asked has decided",)
