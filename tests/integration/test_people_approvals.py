"""Approvals by two people, never of one's own, of whole pages: what each verdict comes to."""

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, get_args

import pipeline_kit
import psycopg
import pytest
from pipeline_kit import World, running
from schema_kit import ACTION, ROUTES, Lab, at_once, refused

from m10actors.postgres import candidates, figures, verdicts
from m10actors.postgres.verdicts import Choice, Outcome, Person, Terms, Verdict
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
FOUR_EYES = {ACTION: {**ROUTES[ACTION], "four_eyes": True}}
ANN, BOB = Person("ann"), Person("bob")


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def waiting(lab: Lab) -> int:
    return evaluated(lab)


def evaluated(lab: Lab, times: int = 1) -> int:
    candidate_id = lab.open(times)
    lab.evaluate(candidate_id)
    return candidate_id


def approve(lab: Lab, candidate_id: int, by: Person, routes: Mapping[str, object] = FOUR_EYES, **terms: Any) -> Verdict:
    [verdict] = verdicts.decide(
        lab.app,
        [Choice(candidate_id)],
        "approved",
        by,
        "go",
        routes,
        Terms(**terms),
    )
    return verdict


def events(lab: Lab) -> int:
    return int(lab.value("SELECT count(*) FROM m10_recovery.outbox"))


def test_two_different_people_have_to_approve_and_the_second_publishes(lab: Lab, waiting: int) -> None:
    first = approve(lab, waiting, ANN)
    assert (first.outcome, first.decision, first.event_id) == ("awaits_second", "pending", None)
    assert approve(lab, waiting, ANN).outcome == "same_person"
    assert approve(lab, waiting, Person("ann", claim="bob")).outcome == "same_person"  # a claim is nobody else
    assert events(lab) == 0
    second = approve(lab, waiting, BOB)
    assert (second.outcome, second.decision, second.event_id is None) == ("approved", "approved", False)
    assert lab.row(waiting).approved_by_human == "bob"
    assert lab.provenance(waiting)[-2:] == ["first_approved", "approved"]


def test_one_person_is_enough_to_reject(lab: Lab, waiting: int) -> None:
    approve(lab, waiting, ANN)
    assert lab.reject(waiting).outcome == "rejected"
    assert approve(lab, waiting, BOB).outcome == "already_decided"


def test_the_first_approval_expires_and_the_next_one_is_a_first_again(lab: Lab, waiting: int) -> None:
    approve(lab, waiting, ANN, expires=timedelta(0))
    assert approve(lab, waiting, BOB).outcome == "first_expired"
    assert approve(lab, waiting, BOB).outcome == "same_person"
    assert approve(lab, waiting, ANN).outcome == "approved"


@pytest.mark.parametrize("changed", ["destination", "event", "generation", "action"])
def test_the_first_approval_lapses_when_what_it_was_for_has_changed(lab: Lab, waiting: int, changed: str) -> None:
    approve(lab, waiting, ANN)
    routes = {ACTION: dict(FOUR_EYES[ACTION]), "notify_ops": FOUR_EYES[ACTION]}
    match changed:
        case "destination":
            routes[ACTION]["destination"] = "elsewhere"
        case "event":
            routes[ACTION]["event"] = "webhook:other"
        case "generation":
            lab.repeat(waiting, times=4)
            assert approve(lab, waiting, BOB).outcome == "evaluation_due"
            lab.evaluate(waiting)
        case "action":
            lab.sql.execute("""UPDATE public.recovery_candidates SET selected_action_id = (
                SELECT id FROM m10_recovery.suggestion_action WHERE action_code = 'notify_ops')""")
    assert approve(lab, waiting, BOB, routes).outcome == "first_changed"
    assert events(lab) == 0
    assert approve(lab, waiting, ANN, routes).outcome == "approved"


def test_an_approval_of_an_earlier_round_counts_for_nothing(lab: Lab, waiting: int) -> None:
    approve(lab, waiting, ANN)
    lab.reject(waiting)
    lab.age(waiting, timedelta(hours=2))
    lab.repeat(waiting)
    lab.evaluate(waiting)
    assert approve(lab, waiting, BOB).outcome == "awaits_second"


def test_nobody_approves_what_they_reported_themselves_where_that_is_not_allowed(lab: Lab, waiting: int) -> None:
    reporter = Person(lab.row(waiting).created_by)
    assert approve(lab, waiting, reporter, ROUTES, own=False).outcome == "own_candidate"
    assert approve(lab, waiting, Person(reporter.name, claim="ann"), FOUR_EYES, own=False).outcome == "own_candidate"
    assert approve(lab, waiting, reporter, ROUTES).outcome == "approved"


def test_of_two_first_approvals_at_once_the_later_one_publishes(lab: Lab, waiting: int) -> None:
    answers = at_once([partial(approve, lab, waiting, by) for by in (ANN, BOB)])
    assert sorted(answer.outcome for answer in answers) == ["approved", "awaits_second"]
    assert events(lab) == 1


def test_first_approvals_are_an_audit_that_operations_cannot_change(lab: Lab, waiting: int) -> None:
    approve(lab, waiting, Person("ann", claim="anna"))
    row = lab.sql.execute("SELECT person, named, note, action_code, destination FROM m10_recovery.approval").fetchone()
    assert tuple(row or ()) == ("ann", "ann (claims: anna)", "go", ACTION, "receiver")
    ops = lab.database.connect("ops")
    for statement in ("UPDATE m10_recovery.approval SET person = 'bob'", "DELETE FROM m10_recovery.approval"):
        assert refused(ops, statement) == psycopg.errors.InsufficientPrivilege.sqlstate


def test_a_page_is_decided_as_one_with_an_outcome_for_each_in_its_order(lab: Lab) -> None:
    fine, due, other, decided = evaluated(lab), lab.open(), evaluated(lab), evaluated(lab)
    lab.reject(decided)
    chosen = [Choice(other, 7), Choice(fine, 1), Choice(404), Choice(due), Choice(decided), Choice(fine)]
    found = verdicts.decide(lab.app, chosen, "approved", ANN, None, ROUTES)
    assert [(each.candidate_id, each.outcome) for each in found] == [
        (other, "generation_differs"),
        (fine, "approved"),
        (404, "not_found"),
        (due, "evaluation_due"),
        (decided, "already_decided"),
    ]
    assert [each.event_id is not None for each in found] == [False, True, False, False, False]


def test_pages_that_overlap_are_decided_at_once_without_a_deadlock_and_each_candidate_once(lab: Lab) -> None:
    ids = [evaluated(lab) for _ in range(12)]
    pool = lab.database.pool("app", size=6)
    orders = [ids, ids[::-1], ids[::2] + ids[1::2]] * 2
    pages = [[Choice(each) for each in order] for order in orders]
    answers = at_once([partial(verdicts.decide, pool, page, "approved", ANN, None, ROUTES) for page in pages])
    assert sum(each.outcome == "approved" for answer in answers for each in answer) == len(ids)
    assert events(lab) == len(ids)


def test_every_outcome_has_its_words_and_its_standing() -> None:
    for outcome in get_args(Outcome):
        assert verdicts.said(outcome)
        assert verdicts.standing(outcome) in {"decided", "half", "refused"}


def test_similar_cases_are_those_of_this_very_failure_then_those_of_its_code(lab: Lab) -> None:
    first, second, third = (evaluated(lab) for _ in range(3))
    lab.sql.execute("UPDATE public.recovery_candidates SET fingerprint = 'other' WHERE id = %s", [second])
    for each in (first, second):
        lab.approve(each)
    lab.deliver("dead", error="no")
    found = candidates.similar(lab.app, third)
    assert [(each.candidate_id, each.is_same, each.outcome) for each in found] == [
        (first, True, "did_not_help"),
        (second, False, "did_not_help"),
    ]
    assert {(each.action, each.decided_by) for each in found} == {(ACTION, "ann")}


def test_a_list_of_what_is_due_has_all_of_it_and_nothing_else(lab: Lab) -> None:
    due, done = [lab.open() for _ in range(2)], [evaluated(lab) for _ in range(2)]

    def ids(is_due: bool | None) -> list[int]:
        return [each.id for each in candidates.page(lab.app, candidates.CandidateFilter(due=is_due)).items]

    assert (ids(True), ids(False), ids(None)) == (due[::-1], done[::-1], (done[::-1] + due[::-1]))


def test_beyond_twenty_thousand_candidates_the_sources_are_estimated_and_the_rest_is_exact(lab: Lab) -> None:
    lab.sql.execute("""
        INSERT INTO public.recovery_candidates (failure_match_id, suggestion, source)
        SELECT gen_random_uuid(), '', CASE WHEN n % 4 = 0 THEN 'rare' ELSE 'often' END FROM generate_series(1, 20000) n
    """)
    exact = figures.stats(lab.app)
    assert (exact.candidates, exact.by_source, exact.sources_estimated) == (
        20_000,
        {"often": 15_000, "rare": 5_000},
        False,
    )
    lab.open()
    lab.sql.execute("ANALYZE public.recovery_candidates")
    found = figures.stats(lab.app)
    assert (found.candidates, found.by_decision, found.sources_estimated) == (20_001, {"pending": 20_001}, True)
    assert list(found.by_source)[:2] == ["often", "rare"]
    assert sum(found.by_source.values()) + found.other_sources == pytest.approx(20_001, abs=3)


def test_what_a_running_engine_demands_two_people_for_is_not_approved_by_one_who_read_another_file(
    lab: Lab, waiting: int
) -> None:
    lab.sql.execute("SELECT m10_recovery.configure(%s)", [json.dumps({"autonomy": {"four_eyes": [ACTION]}})])
    assert approve(lab, waiting, ANN, ROUTES).outcome == "awaits_second"
    assert approve(lab, waiting, BOB, ROUTES).outcome == "approved"


def test_what_two_people_approve_never_runs_by_itself(world: World) -> None:
    with running(world, approvals__four_eyes=True) as engine:
        [candidate] = engine.ingest([1])
        [(reason, decision)] = eventually(
            lambda: world.sql(
                "SELECT explain ->> 'reason', decision FROM public.recovery_candidates WHERE evaluated_generation = 1"
            )
        )
        assert (reason, decision) == ("needs_approval", "pending")
        assert world.sql("SELECT count(*) FROM m10_recovery.outbox WHERE candidate_id = %s", candidate) == [(0,)]
