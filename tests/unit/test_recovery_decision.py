"""What becomes of a failure: the contract's golden table, history, and the gates before an action is carried out."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from m10actors.recovery.actions import SEEDED_ACTIONS, Action
from m10actors.recovery.conditions import Code, Condition, Occurrences
from m10actors.recovery.conditions import History as PastCases
from m10actors.recovery.confidence import Cases
from m10actors.recovery.decision import Decision, decide, from_record
from m10actors.recovery.facts import NO_HISTORY, Candidate, History
from m10actors.recovery.gates import Policy, Reason
from m10actors.recovery.rules import CONTRACT_RULES, Rule, Ruleset

EVERYTHING_ALLOWED = Policy(auto_execute=True, destinations_for=frozenset(SEEDED_ACTIONS))


def candidate(error_code: str, occurrences: int = 1, since_executed: timedelta | None = None) -> Candidate:
    return Candidate(
        id=1,
        generation=1,
        error_code=error_code,
        error_message="it broke",
        source="api",
        fingerprint="f",
        occurrence_count=occurrences,
        at=datetime(2026, 1, 5, tzinfo=UTC),
        since_executed=since_executed,
    )


def decided(
    error_code: str, occurrences: int = 1, history: History = NO_HISTORY, policy: Policy = EVERYTHING_ALLOWED
) -> Decision:
    return decide(candidate(error_code, occurrences), history, SEEDED_ACTIONS, policy)


@pytest.mark.parametrize(
    ("error_code", "occurrences", "action", "total", "confidence"),
    [
        ("TIMEOUT", 1, "retry_exponential", 0.85, 0.85),
        ("TIMEOUT", 5, "retry_exponential", 0.775, 0.875),
        ("TIMEOUT", 10, "retry_exponential", 0.80, 1.0),
        ("RATE_LIMITED", 1, "retry_exponential", 0.90, 0.90),
        ("QUOTA_EXCEEDED", 1, "retry_exponential", 0.875, 0.875),
        ("HTTP_503", 1, "circuit_breaker", 0.80, 0.80),
        ("BUDGET_EXCEEDED", 1, "fallback_model", 0.85, 0.85),
        ("PERMISSION_DENIED", 1, "notify_ops", 0.75, 0.75),
        ("CONNECTION_ERROR", 1, "retry_exponential", 0.80, 0.80),
        ("UNKNOWN", 1, "manual_intervention", 0.50, 0.50),
        ("UNKNOWN", 5, "notify_ops", 0.60, 0.70),
        ("UNKNOWN", 10, "manual_intervention", 0.6833, 0.8833),
        ("PARSE_ERROR", 1, None, 0.0, 0.0),
        ("PARSE_ERROR", 5, "notify_ops", 0.70, 0.80),
        ("PARSE_ERROR", 10, "manual_intervention", 0.775, 0.975),
    ],
)
def test_the_golden_table(
    error_code: str, occurrences: int, action: str | None, total: float, confidence: float
) -> None:
    decision = decided(error_code, occurrences)
    assert (decision.action, decision.total, decision.confidence) == (action, total, confidence)


@pytest.mark.parametrize(
    ("error_code", "rules"),
    [
        ("E15003", []),
        ("15003", []),
        ("5000", []),
        ("E500", ["server_error_fallback"]),
        ("500", ["server_error_fallback"]),
        ("HTTP-429-LATER", ["rate_limit_backoff"]),
        ("http 401", ["auth_notify"]),
        ("ORA-4031", []),
        ("read_timed_out", ["timeout_retry"]),
        ("ConnectionResetError", ["connection_retry"]),
        ("HTTP_5xx", ["server_error_fallback"]),
        ("DNS_TIMEOUT", ["timeout_retry", "connection_retry"]),
        ("AUTH_TIMEOUT_503", ["timeout_retry", "server_error_fallback", "auth_notify"]),
    ],
)
def test_a_pattern_is_contained_and_a_number_stands_alone(error_code: str, rules: list[str]) -> None:
    assert [match.rule for match in decided(error_code).matched] == rules


def test_equal_scores_keep_the_order_of_the_list() -> None:
    first, second = Rule("a", "fallback_model", 0.5, Code(("X",))), Rule("b", "notify_ops", 0.5, Code(("X",)))
    one = decide(candidate("X"), NO_HISTORY, SEEDED_ACTIONS, EVERYTHING_ALLOWED, Ruleset((first, second)))
    other = decide(candidate("X"), NO_HISTORY, SEEDED_ACTIONS, EVERYTHING_ALLOWED, Ruleset((second, first)))
    assert (one.action, other.action) == ("fallback_model", "notify_ops")


def test_the_total_is_the_mean_of_the_best_three_and_every_match_adjusts() -> None:
    decision = decided("AUTH_TIMEOUT_429", 10)
    assert [match.score for match in decision.matched] == [0.90, 0.85, 0.85, 0.75, 0.70]
    assert (decision.total, decision.confidence) == (0.8667, 1.0)


def test_a_rule_that_is_not_active_does_not_match() -> None:
    rule = Rule("off", "notify_ops", 0.9, Code(("X",)), is_active=False)
    assert decide(candidate("X"), NO_HISTORY, SEEDED_ACTIONS, EVERYTHING_ALLOWED, Ruleset((rule,))).action is None


def test_the_thresholds_at_which_a_repeat_is_evaluated_again_are_those_of_the_active_rules() -> None:
    assert CONTRACT_RULES.recheck_thresholds == (5, 10)
    assert Ruleset((Rule("off", "notify_ops", 0.5, Occurrences(3), is_active=False),)).recheck_thresholds == ()


@pytest.mark.parametrize(
    ("when", "bad"),
    [
        (Code(("X",)), {"action": None}),
        (PastCases(), {}),
        (Code(("X",)), {"score": -0.1}),
        (Code(("X",)), {"score": float("nan")}),
        (Code(("X",)), {"score": float("inf")}),
        (Code(("X",)), {"adjustment": float("nan")}),
        (Code(("X",)), {"tier": 0}),
    ],
)
def test_a_rule_that_makes_no_sense_cannot_be_made(when: Condition, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rule odd:"):
        Rule(**{"name": "odd", "action": "notify_ops", "score": 0.5, "when": when, **bad})  # type: ignore[arg-type]


class TestHistory:
    @staticmethod
    def of(action: str, successes: int, matches: int, age_days: float = 0) -> Cases:
        return Cases.of(action, [(case < successes, timedelta(days=age_days)) for case in range(matches)])

    def test_proposes_what_has_worked(self) -> None:
        decision = decided("PARSE_ERROR", history=History((self.of("rollback_state", 3, 4),)))
        assert (decision.action, decision.total, decision.confidence) == ("rollback_state", 0.9, 0.9)
        assert decision.matched[0].because == "rollback_state succeeded in 3 of 4 past cases of this error code"

    def test_of_certain_success_outweighs_every_rule_and_stays_within_1(self) -> None:
        decision = decided("RATE_LIMITED", history=History((self.of("fallback_model", 5, 5),)))
        assert (decision.action, decision.total, decision.confidence) == ("fallback_model", 1.05, 1.0)

    @pytest.mark.parametrize(("successes", "matches"), [(2, 2), (2, 3), (0, 9)])
    def test_joins_only_from_three_cases_and_a_rate_of_seventy_percent(self, successes: int, matches: int) -> None:
        history = History((self.of("rollback_state", successes, matches),))
        assert decided("PARSE_ERROR", history=history).action is None

    def test_prefers_the_most_common_action_of_those_that_work(self) -> None:
        rare, common, failing = self.of("skip_task", 3, 3), self.of("rollback_state", 4, 5), self.of("notify_ops", 1, 9)
        assert decided("PARSE_ERROR", history=History((rare, common, failing))).action == "rollback_state"

    def test_does_not_depend_on_the_order_of_its_cases(self) -> None:
        cases = (self.of("skip_task", 3, 3), self.of("rollback_state", 3, 3), self.of("notify_ops", 3, 3))
        one, other = (decided("X", history=History(order)) for order in (cases, cases[::-1]))
        assert one.action == "notify_ops"
        assert structs.replace(one, seen=None) == structs.replace(other, seen=None)


class TestGates:
    """The first gate that stops an action is the reason."""

    def test_everything_open_executes(self) -> None:
        decision = decided("TIMEOUT")
        assert decision.execute
        assert decision.reason is Reason.EXECUTES

    @pytest.mark.parametrize(
        ("error_code", "policy", "reason"),
        [
            ("TIMEOUT", Policy(evaluator_enabled=False), Reason.EVALUATOR_OFF),
            ("PARSE_ERROR", Policy(), Reason.NO_RULE_MATCHED),
            ("UNKNOWN", Policy(min_confidence=0.51), Reason.BELOW_MIN_CONFIDENCE),
            ("UNKNOWN", Policy(), Reason.NEEDS_APPROVAL),
            ("HTTP_503", Policy(), Reason.NEEDS_APPROVAL),
            ("PERMISSION_DENIED", Policy(), Reason.BELOW_AUTO_CONFIDENCE),
            ("TIMEOUT", Policy(), Reason.AUTO_EXECUTE_OFF),
            ("TIMEOUT", Policy(auto_execute=True), Reason.ACTION_HAS_NO_DESTINATION),
            (
                "TIMEOUT",
                Policy(auto_execute=True, destinations_for=frozenset({"notify_ops"})),
                Reason.ACTION_HAS_NO_DESTINATION,
            ),
        ],
    )
    def test_a_closed_one_is_told(self, error_code: str, policy: Policy, reason: Reason) -> None:
        decision = decided(error_code, policy=policy)
        assert decision.reason is reason
        assert not decision.execute

    def test_the_thresholds_are_inclusive(self) -> None:
        assert decided("CONNECTION_ERROR").execute
        assert decided("UNKNOWN", policy=Policy(min_confidence=0.5)).action == "manual_intervention"

    def test_no_action_is_selected_below_the_least_confidence(self) -> None:
        decision = decided("UNKNOWN", policy=Policy(min_confidence=0.51))
        assert decision.action is None
        assert decision.confidence == 0.5

    def test_an_action_that_no_one_automates_waits(self) -> None:
        by_hand = {"retry_exponential": Action("retry_exponential", is_automated=False, requires_approval=False)}
        decision = decide(candidate("TIMEOUT"), NO_HISTORY, by_hand, EVERYTHING_ALLOWED)
        assert decision.reason is Reason.NOT_AUTOMATED

    @pytest.mark.parametrize(
        "actions", [{}, {"retry_exponential": Action("retry_exponential", True, False, is_active=False)}]
    )
    def test_an_action_that_is_unknown_or_not_active_is_proposed_and_not_executed(
        self, actions: dict[str, Action]
    ) -> None:
        decision = decide(candidate("TIMEOUT"), NO_HISTORY, actions, EVERYTHING_ALLOWED)
        assert (decision.action, decision.reason) == ("retry_exponential", Reason.ACTION_NOT_ACTIVE)

    def test_an_action_by_itself_waits_for_the_cooldown(self) -> None:
        soon, later = timedelta(minutes=14, seconds=59), timedelta(minutes=15)
        reasons = [
            decide(candidate("TIMEOUT", since_executed=age), NO_HISTORY, SEEDED_ACTIONS, EVERYTHING_ALLOWED).reason
            for age in (soon, later)
        ]
        assert reasons == [Reason.COOLING_DOWN, Reason.EXECUTES]


class TestAccount:
    def test_a_person_reads_what_was_seen_and_why_it_waits(self) -> None:
        assert decided("TIMEOUT", 5, policy=Policy()).suggestion == (
            "retry_exponential for TIMEOUT, seen 5 times; confidence 0.88 by timeout_retry, escalate_repeated. "
            "Acting without approval is switched off."
        )
        assert decided("PARSE_ERROR").suggestion == (
            "no action for PARSE_ERROR, seen 1 time. No rule matches; a person decides."
        )

    def test_every_reason_has_its_sentence(self) -> None:
        from m10actors.recovery.wording import _SAID

        assert _SAID.keys() == set(Reason)

    def test_explain_and_rules_evaluated_are_json(self) -> None:
        decision = decided("TIMEOUT", 5)
        assert json.loads(json.dumps(decision.explain())) == {
            "action": "retry_exponential",
            "total": 0.775,
            "confidence": 0.875,
            "execute": True,
            "reason": "executes",
            "rules": ["timeout_retry", "escalate_repeated"],
            "rules_version": CONTRACT_RULES.version,
            "evaluator": "rules",
            "history": "no past cases yet: 0 of the 3 that history needs",
        }
        assert json.loads(json.dumps(decision.rules_evaluated())) == [
            {
                "rule": "timeout_retry",
                "action": "retry_exponential",
                "score": 0.85,
                "adjustment": 0.0,
                "because": "the error code contains TIMEOUT",
            },
            {
                "rule": "escalate_repeated",
                "action": "notify_ops",
                "score": 0.7,
                "adjustment": 0.1,
                "because": "5 occurrences",
            },
        ]


@pytest.mark.parametrize("other", [{}, {"generation": 1}, {"v": 2}])
def test_what_is_no_record_of_a_decision_is_refused(other: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no record of a decision"):
        from_record(other)


def test_a_decision_of_which_nobody_said_what_it_saw_has_no_record() -> None:
    assert structs.replace(decided("TIMEOUT"), seen=None).record() == {}


class TestThePageHowItIsDecided:
    """docs/deciding.md."""

    PAGE = (Path(__file__).parents[2] / "docs" / "deciding.md").read_text()

    def rows(self, section: str) -> list[list[str]]:
        """The cells of the first table of a section, without its head."""
        table = self.PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        lines = [line for line in table.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    def test_has_examples_that_are_so(self) -> None:
        for code, seen, rules, action, total, sure in self.rows("Score"):
            decision = decided(code, int(seen))
            assert [match.rule for match in decision.matched] == re.findall("[a-z]+_[a-z_]+", rules)
            assert [str(decision.action or "none"), str(decision.total), str(decision.confidence)] == [
                action,
                total,
                sure,
            ]

    def test_has_every_gate_in_its_order(self) -> None:
        found = [name for row in self.rows("Gates") for name in re.findall("`([a-z_]+)`", row[0])]
        assert found == [reason.value for reason in Reason]

    def test_has_every_key_of_a_record(self) -> None:
        found = {name for row in self.rows("Records") for name in re.findall("`([a-z]+)`", row[0])}
        assert found == {*decided("TIMEOUT").record(), "f", "x"}
