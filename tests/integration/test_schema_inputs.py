"""What a decision is made from, as PostgreSQL gives it: rates, past cases, ages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs
from psycopg.types.json import Jsonb
from schema_kit import ACTION, Lab, failure, refused

from m10actors.postgres import inputs
from m10actors.postgres.inputs import Input
from m10actors.recovery.confidence import Cases
from m10actors.recovery.decision import decide, decide_again, from_record
from m10actors.recovery.facts import MESSAGE_EDGE, message_seen
from m10actors.recovery.failure import parse
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import CONTRACT_RULES
from m10actors.testing.database import MigratedDatabase

LONG, LONGER = 500_000_000, 1_000_000_000
"""Windows in seconds whose buckets end in 2033, so that none ends while a test runs."""
AT = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)
"""In the middle of a bucket of a minute."""


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def asks_for(lab: Lab, *levels: tuple[int, float]) -> None:
    """Rules that ask for rates: (seconds, level)."""
    windows, rates = [window for window, _ in levels], [level for _, level in levels]
    lab.sql.execute("SELECT m10_recovery.configure(%s)", [Jsonb({"rate_windows": windows, "rate_levels": rates})])


def given(lab: Lab, candidate: int) -> Input:
    return inputs.read(lab.app, [candidate])[candidate]


def seen(lab: Lab, candidate: int) -> float:
    return given(lab, candidate).candidate.seen_within(timedelta(seconds=LONG))


def later(lab: Lab, buckets: int) -> None:
    """As if so many buckets had begun since everything was counted."""
    lab.sql.execute("UPDATE recovery_candidates SET rate_buckets[2] = rate_buckets[2] - %s", [buckets])


def past(
    lab: Lab, candidate: int, outcome: str = "helped", *, code: str = "TIMEOUT", fingerprint: str = "f", **others: Any
) -> None:
    """An execution of ACTION that ended, as the engine keeps it."""
    result = {"helped": "succeeded", "did_not_help": "failed", "unknown": None}[outcome]
    lab.sql.execute(
        """INSERT INTO m10_recovery.execution
               (execution_id, candidate_id, round, generation, action_id, error_code, fingerprint, begun_by, status,
                ended_by, closed_at, result, result_at)
           SELECT gen_random_uuid(), %s, 1, 1, a.id, %s, %s, 'test', 'succeeded', 'answer', now() - %s, %s::text,
                  CASE WHEN %s::text IS NOT NULL THEN now() END
           FROM m10_recovery.suggestion_action a WHERE a.action_code = %s""",
        [candidate, code, fingerprint, others.get("age", timedelta(0)), result, result, others.get("action", ACTION)],
    )


class TestTheWindow:
    """The pure functions: buckets of a minute, {60, number of the bucket, seen in it, seen in the one before}."""

    def counted(self, lab: Lab, *steps: tuple[int, datetime]) -> list[int] | None:
        buckets = None
        for count, at in steps:
            buckets = lab.value("SELECT m10_recovery.rates_counted(%s::bigint[], '{60}', %s, %s)", buckets, count, at)
        return buckets

    def rate(self, lab: Lab, buckets: list[int] | None, at: datetime, window: int = 60) -> float:
        return float(lab.value("SELECT m10_recovery.rate_at(%s::bigint[], %s, %s)", buckets, window, at))

    def test_has_what_was_counted_in_it_and_its_share_of_the_bucket_before(self, lab: Lab) -> None:
        minute = timedelta(minutes=1)
        buckets = self.counted(lab, (40, AT - minute), (5, AT), (1, AT))
        assert self.rate(lab, buckets, AT) == 6 + 40 / 2
        assert self.rate(lab, buckets, AT + minute / 4) == 6 + 40 / 4
        assert self.rate(lab, buckets, AT + minute) == 6 / 2
        assert self.rate(lab, buckets, AT + 2 * minute) == 0

    def test_begins_anew_after_a_pause_and_where_the_clock_was_set_back_far(self, lab: Lab) -> None:
        for away in (timedelta(minutes=2), timedelta(minutes=-2)):
            assert self.rate(lab, self.counted(lab, (40, AT), (1, AT + away)), AT + away) == 1

    def test_keeps_what_it_has_where_the_clock_was_set_back_a_little(self, lab: Lab) -> None:
        buckets = self.counted(lab, (40, AT), (2, AT - timedelta(minutes=1)))
        assert self.rate(lab, buckets, AT) == 42
        assert self.rate(lab, buckets, AT - timedelta(minutes=1)) == 42

    def test_holds_the_largest_count_that_there_is(self, lab: Lab) -> None:
        most = 2**63 - 1
        assert self.rate(lab, self.counted(lab, (most, AT), (most, AT)), AT) == 2.0**62

    def test_of_which_nothing_was_counted_is_empty(self, lab: Lab) -> None:
        assert self.rate(lab, None, AT) == 0
        assert self.rate(lab, self.counted(lab, (40, AT)), AT, window=61) == 0


def test_nothing_is_counted_while_no_rule_asks_for_a_rate(lab: Lab) -> None:
    candidate = lab.open(times=3)
    assert lab.row(candidate).rate_buckets is None
    assert given(lab, candidate).candidate.rates == ()


def test_every_occurrence_is_counted_whoever_counts_it(lab: Lab) -> None:
    asks_for(lab, (LONG, 50))
    candidate = lab.open(times=3)
    lab.repeat(candidate, times=4)
    other = lab.database.connect("app")
    other.execute("UPDATE recovery_candidates SET occurrence_count = occurrence_count + 5 WHERE id = %s", [candidate])
    other.execute("UPDATE recovery_candidates SET occurrence_count = 2, suggestion = 'x' WHERE id = %s", [candidate])
    assert seen(lab, candidate) == 12
    later(lab, 1)
    assert 0 <= seen(lab, candidate) <= 12
    later(lab, 1)
    assert seen(lab, candidate) == 0


@pytest.mark.parametrize(
    "odd", ["{}", f"{{{LONG}}}", f"{{{{{LONG},1,2,3}},{{1,2,3,4}}}}", f"{{{LONG},NULL,NULL,NULL}}", "[7:8]={1,2}"]
)
def test_buckets_that_another_program_wrote_stop_nobody_from_counting(lab: Lab, odd: str) -> None:
    asks_for(lab, (LONG, 50))
    candidate = lab.open()
    lab.sql.execute("UPDATE recovery_candidates SET rate_buckets = %s::bigint[]", [odd])
    lab.repeat(candidate, times=4)
    assert seen(lab, candidate) == 4
    assert refused(lab.sql, "UPDATE recovery_candidates SET rate_buckets = '{3600,-1,2,3}'") == "23514"
    assert refused(lab.sql, "UPDATE recovery_candidates SET rate_buckets = '{3600,1,9223372036854775807,3}'") == "23514"


def test_a_window_that_no_rule_asks_for_any_more_is_forgotten(lab: Lab) -> None:
    asks_for(lab, (LONG, 50), (LONG, 70), (LONGER, 100))
    candidate = lab.open(times=3)
    assert [window for window, _ in given(lab, candidate).candidate.rates] == [
        timedelta(seconds=LONG),
        timedelta(seconds=LONGER),
    ]
    asks_for(lab, (LONGER, 100))
    lab.repeat(candidate)
    assert given(lab, candidate).candidate.rates == ((timedelta(seconds=LONGER), 4.0),)
    assert len(lab.row(candidate).rate_buckets) == 4


def test_counting_a_rate_stays_a_heap_only_update(lab: Lab) -> None:
    asks_for(lab, (LONG, 50))
    candidate = lab.open()
    updated = "SELECT {}(c.oid) FROM pg_class c WHERE c.oid = 'recovery_candidates'::regclass"
    with lab.sql.transaction():
        for _ in range(10):
            lab.sql.execute(
                "UPDATE recovery_candidates SET occurrence_count = occurrence_count + 1 WHERE id = %s", [candidate]
            )
        assert lab.value(updated.format("pg_stat_get_xact_tuples_hot_updated")) == 10


@pytest.mark.parametrize(
    "bad",
    [
        {"rate_windows": [60], "rate_levels": []},
        {"rate_windows": [0], "rate_levels": [5]},
        {"rate_windows": [60], "rate_levels": [-1]},
        {"rate_windows": [None], "rate_levels": [5]},
    ],
)
def test_rates_that_make_no_sense_are_refused(lab: Lab, bad: dict[str, object]) -> None:
    with pytest.raises(Exception, match="rates_are_pairs"):
        lab.sql.execute("SELECT m10_recovery.configure(%s)", [Jsonb(bad)])


class TestARateThatRises:
    """It makes the candidate due once for each time that it rises to a level."""

    @pytest.fixture
    def evaluated(self, lab: Lab) -> int:
        """Beyond every threshold of the count."""
        asks_for(lab, (LONG, 50))
        candidate = lab.open(times=12)
        lab.evaluate(candidate)
        return candidate

    def test_is_due_when_it_gets_there_and_not_while_it_stays(self, lab: Lab, evaluated: int) -> None:
        assert not lab.repeat(evaluated, times=37).became_due
        assert lab.repeat(evaluated).became_due
        lab.evaluate(evaluated)
        assert not lab.repeat(evaluated, times=100).became_due

    def test_is_due_again_when_it_has_fallen_meanwhile(self, lab: Lab, evaluated: int) -> None:
        lab.repeat(evaluated, times=60)
        lab.evaluate(evaluated)
        later(lab, 2)
        assert not lab.repeat(evaluated, times=49).became_due
        assert lab.repeat(evaluated).became_due

    def test_is_not_lost_while_the_candidate_is_being_evaluated(self, lab: Lab) -> None:
        asks_for(lab, (LONG, 50))
        candidate = lab.open(times=12)
        applied = lab.evaluate(candidate, meanwhile=lambda: lab.repeat(candidate, times=40))
        assert applied is not None
        assert applied.message_due == 2

    def test_waits_for_the_end_of_an_execution(self, lab: Lab, evaluated: int) -> None:
        lab.evaluate(evaluated)
        lab.sql.execute("UPDATE recovery_candidates SET execution_status = 'executing', decision = 'approved'")
        assert not lab.repeat(evaluated, times=60).became_due
        lab.sql.execute("UPDATE recovery_candidates SET execution_status = 'failed'")
        assert lab.is_due(evaluated)

    def test_that_was_judged_does_not_undo_a_verdict(self, lab: Lab, evaluated: int) -> None:
        lab.repeat(evaluated, times=60)
        lab.evaluate(evaluated)
        lab.repeat(evaluated, times=10)
        lab.sql.execute("UPDATE recovery_candidates SET decision = 'rejected'")
        assert not lab.is_due(evaluated)
        assert lab.row(evaluated).round == 1


class TestHistory:
    def test_is_that_of_the_error_code_and_that_of_the_fingerprint(self, lab: Lab) -> None:
        candidate = lab.open()
        fingerprint = given(lab, candidate).candidate.fingerprint
        for outcome in ("helped", "did_not_help", "unknown"):
            past(lab, candidate, outcome)
        past(lab, candidate, code="OTHER", fingerprint=fingerprint, age=timedelta(days=30))
        past(lab, candidate, code="OTHER", fingerprint="g")
        history = given(lab, candidate).history
        assert [(each.action, each.matches, each.successes) for each in history.code] == [(ACTION, 2, 1)]
        assert [(each.action, each.matches, each.successes) for each in history.fingerprint] == [(ACTION, 1, 1)]

    def test_weighs_by_age(self, lab: Lab) -> None:
        candidate = lab.open()
        for days in (30, 30):
            past(lab, candidate, age=timedelta(days=days))
        past(lab, candidate, "did_not_help")
        [cases] = given(lab, candidate).history.code
        assert cases.weighted_rate == pytest.approx(1 / 2, abs=1e-4)

    def test_has_the_newest_fifty(self, lab: Lab) -> None:
        candidate = lab.open()
        for number in range(52):
            past(lab, candidate, "helped" if number < 50 else "did_not_help", age=timedelta(minutes=number))
        [cases] = given(lab, candidate).history.code
        assert (cases.matches, cases.successes, cases.weighted_rate) == (50, 50, 1.0)
        assert 49.9 < cases.weight < 50

    def test_is_read_only_for_what_is_due(self, lab: Lab) -> None:
        candidate = lab.open()
        past(lab, candidate)
        lab.evaluate(candidate)
        assert given(lab, candidate).history.code == ()

    def test_is_shared_by_a_batch(self, lab: Lab) -> None:
        candidates = [lab.open() for _ in range(3)]
        past(lab, candidates[0])
        found = inputs.read(lab.app, candidates)
        assert {each.history.code for each in found.values()} == {(Cases(ACTION, 1, 1, 1.0, 1.0),)}
        assert len({each.candidate.at for each in found.values()}) == 1

    def test_of_what_has_no_code_and_no_fingerprint_is_none(self, lab: Lab) -> None:
        lab.sql.execute("INSERT INTO recovery_candidates (failure_match_id, suggestion) VALUES (%s, 'x')", [uuid4()])
        past(lab, lab.open(), code="", fingerprint="")
        candidate = lab.value("SELECT min(id) FROM recovery_candidates")
        assert given(lab, candidate).history.code == given(lab, candidate).history.fingerprint == ()


def test_ages_are_those_of_one_moment_on_the_clock_of_the_database(lab: Lab) -> None:
    candidate = lab.open()
    lab.sql.execute(
        """UPDATE recovery_candidates
           SET created_at = now() - interval '2 days', last_executed_at = now() - interval '1 day'"""
    )
    found = given(lab, candidate).candidate
    assert found.at.tzinfo is UTC
    assert found.age is not None
    assert found.since_executed is not None
    assert found.age - found.since_executed == timedelta(days=1)


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "4713-01-01 BC", "12026-01-01"])
def test_a_moment_of_another_program_that_nobody_can_read_leaves_the_age_unknown(lab: Lab, moment: str) -> None:
    candidate = lab.open()
    lab.sql.execute("UPDATE recovery_candidates SET created_at = %s::timestamptz, last_executed_at = %s", [moment] * 2)
    found = given(lab, candidate).candidate
    assert (found.age, found.since_executed) == (None, None)


@pytest.mark.parametrize("length", [2 * MESSAGE_EDGE, 2 * MESSAGE_EDGE + 1])
def test_a_message_is_cut_in_sql_as_it_is_in_python(lab: Lab, length: int) -> None:
    candidate = lab.open()
    message = "".join(chr(97 + number % 26) for number in range(length))
    lab.sql.execute("UPDATE recovery_candidates SET error_message = %s", [message])
    assert given(lab, candidate).candidate.error_message == message_seen(message)


class TestADryRun:
    """It goes by what an evaluation would go by."""

    def test_of_a_candidate_sees_it_as_it_stands(self, lab: Lab) -> None:
        asks_for(lab, (LONG, 50))
        candidate = lab.open(times=3)
        past(lab, candidate)
        prospect, found = inputs.preview(lab.app, candidate), given(lab, candidate)
        assert prospect is not None
        assert prospect.candidate is not None
        assert structs.replace(prospect.candidate, at=AT, age=None) == structs.replace(found.candidate, at=AT, age=None)
        assert prospect.history == found.history

    def test_of_one_that_is_not_due_sees_its_history_too(self, lab: Lab) -> None:
        candidate = lab.open()
        past(lab, candidate)
        lab.evaluate(candidate)
        prospect = inputs.preview(lab.app, candidate)
        assert prospect is not None
        assert prospect.history.code != ()

    def test_of_a_failure_that_nobody_has_reported_sees_what_came_of_those_like_it(self, lab: Lab) -> None:
        new = failure()
        past(lab, lab.open(), code=new.error_code, fingerprint="other")
        past(lab, lab.open(), code="OTHER", fingerprint=new.fingerprint)
        prospect = inputs.preview(lab.app, new)
        assert prospect is not None
        assert prospect.candidate is None
        assert (prospect.history.code, prospect.history.fingerprint) == ((Cases(ACTION, 1, 1, 1.0, 1.0),),) * 2

    def test_of_nothing_is_nothing(self, lab: Lab) -> None:
        assert inputs.preview(lab.app, 2**62) is None
        prospect = inputs.preview(lab.app, parse({"error_type": "NEW"}))
        assert prospect is not None
        assert (prospect.candidate, prospect.history.code) == (None, ())


def test_actions_come_with_what_came_of_them(lab: Lab) -> None:
    lab.sql.execute(
        "UPDATE m10_recovery.suggestion_action SET total_applications = 9, successful_applications = 7 WHERE id = 1"
    )
    action = inputs.actions(lab.app)[ACTION]
    assert (action.is_automated, action.requires_approval, action.is_active) == (True, False, True)
    assert action.cases == Cases(ACTION, 9, 7, 0.777778, 9.0)


def test_a_decision_is_made_again_from_what_postgresql_kept_of_it(lab: Lab) -> None:
    asks_for(lab, (LONG, 50))
    candidate = lab.open(times=7)
    for _ in range(3):
        past(lab, candidate)
    found = given(lab, candidate)
    decision = decide(found.candidate, found.history, inputs.actions(lab.app), Policy(auto_execute=True))
    kept = lab.value("SELECT %s::jsonb", Jsonb(decision.record()))
    assert decide_again(kept, CONTRACT_RULES) == from_record(kept) == decision


MANY = """
INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, action_id, error_code, fingerprint,
                                    begun_by, status, ended_by, closed_at, result, result_at)
SELECT gen_random_uuid(), %s, n, 1, 1, CASE WHEN n %% 2 = 0 THEN 'TIMEOUT' ELSE 'E' || n END, 'f' || n,
       'test', 'succeeded', 'answer', now() - n * interval '1 minute', 'succeeded', now()
FROM generate_series(1, 50000) n
"""


def test_a_reading_does_not_look_through_the_past(lab: Lab) -> None:
    candidate = lab.open()
    lab.sql.execute(MANY, [candidate])
    lab.sql.execute("ANALYZE m10_recovery.execution")
    read = """SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid))
                     + pg_stat_get_xact_tuples_returned(max(i.indrelid))
              FROM pg_index i WHERE i.indrelid = 'm10_recovery.execution'::regclass"""
    with lab.sql.transaction():
        newest = lab.value("SELECT past_of_code FROM m10_recovery.evaluation_inputs(%s)", [candidate])
        assert len(json.loads(newest)) == 50
        assert lab.value(read) <= 100
