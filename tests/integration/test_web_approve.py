"""A person decides over HTTP."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from web_kit import LOOPBACK, PREFIX, ROUTES, Site, failure, listening, open_site, without_postgres

from m10actors import metrics
from m10actors.embedded import EmbeddedServers
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.postgres import tokens
from m10actors.recovery.gates import Policy
from m10actors.web.apps import api_app
from m10actors.web.server import Listener


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_approve") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


def candidate(site: Site, code: str = "TIMEOUT") -> int:
    """A new candidate, not yet evaluated."""
    return int(site.ingest(failure(code=code, failure_match_id=str(uuid.uuid4()))).json["candidate_id"])


def evaluated(site: Site, code: str = "TIMEOUT") -> int:
    """A candidate with an evaluation that waits for a person."""
    candidate_id = candidate(site, code)
    rules = Rules(Policy(destinations_for=frozenset(ROUTES)), ROUTES)
    done = Evaluation(site.services.database, "w", lambda: rules).evaluate([Work(candidate_id, None)], "test")
    assert len(done.finished) == 1
    return candidate_id


def approvals(decision: str) -> float:
    return metrics.REGISTRY.get_sample_value("recovery_approvals_total", {"decision": decision}) or 0.0


def test_an_approval_publishes_the_action_and_wakes_the_leader(site: Site) -> None:
    candidate_id, before, woken = evaluated(site), approvals("approved"), len(site.wakes)
    answer = site.approve({"candidate_id": candidate_id, "decision": "approved", "note": "go", "generation": 1})
    assert answer.status == 200, answer.raw
    event_id = answer.json["event_id"]
    assert answer.json == {
        "candidate_id": candidate_id,
        "decision": "approved",
        "execution_status": "executing",
        "evaluated_generation": 1,
        "decided_by": "test recovery:approve",
        "event_id": event_id,
    }
    assert site.sql("SELECT candidate_id FROM m10_recovery.outbox WHERE id = %s", [event_id]) == [(candidate_id,)]
    assert approvals("approved") == before + 1
    assert len(site.wakes) == woken + 1


def test_a_rejection_publishes_nothing(site: Site) -> None:
    candidate_id, before, woken = evaluated(site), approvals("rejected"), len(site.wakes)
    answer = site.approve({"candidate_id": candidate_id, "decision": "rejected", "approved_by": "bob", "note": "no"})
    assert (answer.status, answer.json["decision"], answer.json["event_id"]) == (200, "rejected", None)
    assert site.sql("SELECT 1 FROM m10_recovery.outbox WHERE candidate_id = %s", [candidate_id]) == []
    assert (approvals("rejected"), len(site.wakes)) == (before + 1, woken)


def test_who_acted_is_the_token_and_a_name_in_the_body_is_a_claim_beside_it(site: Site) -> None:
    candidate_id = evaluated(site)
    answer = site.approve({"candidate_id": candidate_id, "decision": "approved", "approved_by": "alice"})
    assert answer.json["decided_by"] == "test recovery:approve (claims: alice)"
    query = "SELECT approved_by_human FROM public.recovery_candidates WHERE id = %s"
    assert site.sql(query, [candidate_id]) == [(answer.json["decided_by"],)]


def test_an_unknown_candidate_is_404(site: Site) -> None:
    assert site.approve({"candidate_id": 2**62, "decision": "approved"}).status == 404


def test_a_candidate_with_an_evaluation_due_is_409(site: Site) -> None:
    answer = site.approve({"candidate_id": candidate(site), "decision": "approved"})
    assert (answer.status, answer.json["error"]) == (409, "evaluation_due")


def test_another_generation_is_409_with_the_current_one(site: Site) -> None:
    candidate_id = evaluated(site)
    answer = site.approve({"candidate_id": candidate_id, "decision": "approved", "generation": 7})
    assert (answer.status, answer.json["error"]) == (409, "generation_differs")
    assert answer.json["candidate"] == {
        "candidate_id": candidate_id,
        "decision": "pending",
        "execution_status": None,
        "evaluated_generation": 1,
    }


def test_a_second_verdict_is_409_and_changes_nothing(site: Site) -> None:
    candidate_id, before = evaluated(site), approvals("rejected")
    assert site.approve({"candidate_id": candidate_id, "decision": "approved"}).status == 200
    answer = site.approve({"candidate_id": candidate_id, "decision": "rejected"})
    assert (answer.status, answer.json["error"]) == (409, "already_decided")
    assert answer.json["candidate"]["decision"] == "approved"
    assert approvals("rejected") == before


@pytest.mark.parametrize(("code", "why"), [("HTTP_503", "action_has_no_destination"), ("PARSE_ERROR", "no_action")])
def test_what_cannot_be_carried_out_cannot_be_approved(site: Site, code: str, why: str) -> None:
    answer = site.approve({"candidate_id": evaluated(site, code), "decision": "approved"})
    assert (answer.status, answer.json["error"]) == (409, why)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"candidate_id": None}, "invalid_type", "candidate_id"),
        ({"candidate_id": "1"}, "invalid_type", "candidate_id"),
        ({"candidate_id": True}, "invalid_type", "candidate_id"),
        ({"candidate_id": 1.0}, "invalid_type", "candidate_id"),
        ({"candidate_id": 0}, "out_of_range", "candidate_id"),
        ({"candidate_id": 2**63}, "out_of_range", "candidate_id"),
        ({"generation": 2**31}, "out_of_range", "generation"),
        ({"decision": "maybe-SECRET"}, "out_of_range", "decision"),
        ({"approved_by": ""}, "missing_field", "approved_by"),
        ({"approved_by": "a\nb"}, "invalid_text", "approved_by"),
        ({"note": "a\x00b"}, "invalid_text", "note"),
        ({"note": "x" * 4001}, "too_long", "note"),
        ({"ünknown": 1}, "unknown_field", "'\\xfcnknown'"),
    ],
)
def test_a_bad_body_is_422_and_names_the_field_but_not_the_value(
    site: Site, change: dict[str, object], code: str, field: str
) -> None:
    answer = site.approve({"candidate_id": 1, "decision": "approved", **change})
    assert answer.status == 422
    assert (answer.json["problems"][0]["code"], answer.json["problems"][0]["field"]) == (code, field)
    assert b"SECRET" not in answer.raw


def test_a_body_that_is_no_object_is_refused(site: Site) -> None:
    assert site.approve([]).json["problems"][0]["code"] == "object_expected"
    assert site.approve(b"{").status == 400


def test_the_first_of_two_approvals_is_202_and_the_second_publishes(site: Site) -> None:
    candidate_id, before = evaluated(site), approvals("approved")
    with four_eyes():
        first = site.approve({"candidate_id": candidate_id, "decision": "approved", "approved_by": "alice"})
        assert (first.status, first.json["outcome"], first.json["decision"]) == (202, "awaits_second", "pending")
        assert "second person" in first.json["message"]
        again = site.approve({"candidate_id": candidate_id, "decision": "approved", "approved_by": "bob"})
        assert (again.status, again.json["error"]) == (409, "same_person")
        assert approvals("approved") == before
        other = tokens.create(site.ops_database, f"second {candidate_id}", ["recovery:approve"])
        body = {"candidate_id": candidate_id, "decision": "approved"}
        second = site.api("POST", f"{PREFIX}/approve", body, authorization=f"Bearer {other}")
    assert (second.status, second.json["decision"]) == (200, "approved")
    assert approvals("approved") == before + 1


@contextmanager
def four_eyes() -> Iterator[None]:
    """Two people have to approve what ROUTES name."""
    route: Any = ROUTES["retry_exponential"]
    route["four_eyes"] = True
    try:
        yield
    finally:
        del route["four_eyes"]


def test_a_page_is_decided_at_once_with_an_outcome_for_each(site: Site) -> None:
    ids, before, woken = [evaluated(site) for _ in range(3)], approvals("approved"), len(site.wakes)
    chosen = [{"candidate_id": each, "generation": 1} for each in ids]
    chosen[1]["generation"] = 7
    page = {"decision": "approved", "note": "all of them", "candidates": [*chosen, {"candidate_id": 2**62}]}
    answer = site.api("POST", f"{PREFIX}/approve/batch", page, "recovery:approve")
    assert answer.status == 200, answer.raw
    assert answer.json["decided_by"] == "test recovery:approve"
    items = answer.json["items"]
    assert [each["candidate_id"] for each in items] == [*ids, 2**62]
    assert [each["outcome"] for each in items] == ["approved", "generation_differs", "approved", "not_found"]
    assert (items[1]["evaluated_generation"], items[3]["decision"]) == (1, None)
    assert (approvals("approved"), len(site.wakes)) == (before + 2, woken + 1)


@pytest.mark.parametrize(
    ("candidates", "field"),
    [
        ([], "candidates"),
        ([{"candidate_id": 1}] * 201, "candidates"),
        ([{"candidate_id": 0}], "candidates.0.candidate_id"),
        ([1], "candidates.0"),
    ],
)
def test_a_page_that_is_none_is_422_and_names_the_field(site: Site, candidates: list[object], field: str) -> None:
    page = {"decision": "approved", "candidates": candidates}
    answer = site.api("POST", f"{PREFIX}/approve/batch", page, "recovery:approve")
    assert answer.status == 422
    assert [problem["field"] for problem in answer.json["problems"]] == [field]


def test_a_page_needs_the_right_to_approve(site: Site) -> None:
    assert site.api("POST", f"{PREFIX}/approve/batch", {}, "recovery:read").status == 403


def test_postgres_stopped_is_503(site: Site, servers: EmbeddedServers) -> None:
    candidate_id = evaluated(site)
    site.approve({"candidate_id": 1, "decision": "maybe"})  # so that the token is remembered
    with without_postgres(servers, site):
        answer = site.approve({"candidate_id": candidate_id, "decision": "approved"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert site.approve({"candidate_id": candidate_id, "decision": "approved"}).status == 200
