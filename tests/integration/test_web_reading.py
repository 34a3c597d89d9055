"""Candidates, figures and actions are read over HTTP, and decisions tried out."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from web_kit import LOOPBACK, PREFIX, ROUTES, Answer, Site, failure, listening, open_site

from m10actors.embedded import EmbeddedServers
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.postgres import candidates, figures
from m10actors.postgres.candidates import CandidateFilter
from m10actors.recovery.gates import Policy
from m10actors.web.apps import api_app
from m10actors.web.server import Listener

READ = "recovery:read"


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_reading") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


@pytest.fixture
def ids(site: Site) -> list[int]:
    """Five candidates and nothing else: TIMEOUT of a, evaluated; UNKNOWN of a; PARSE_ERROR of b, seen once, twice and
    three times.
    """
    site.sql("DELETE FROM m10_recovery.outbox")
    site.sql("TRUNCATE public.recovery_candidates CASCADE")
    items = [
        failure("upstream 100% slow", "TIMEOUT", source="a", failure_match_id=str(uuid.UUID(int=1))),
        failure("who knows", "UNKNOWN", source="a", failure_match_id=str(uuid.UUID(int=2))),
    ]
    for times in (1, 2, 3):
        items += [failure("line 5", "PARSE_ERROR", source="b", failure_match_id=str(uuid.UUID(int=2 + times)))] * times
    found = list(dict.fromkeys(item["candidate_id"] for item in site.ingest_batch(items).json["items"]))
    evaluate(site, found[0])
    return found


def evaluate(site: Site, candidate_id: int) -> None:
    evaluator = Evaluation(site.services.database, "test", lambda: Rules(Policy(), ROUTES))
    evaluator.evaluate([Work(candidate_id, None)], "stream")


def get(site: Site, path: str, **query: object) -> Answer:
    return site.api("GET", f"{PREFIX}/{path}?{urlencode(query)}", None, READ)


def listed(site: Site, **query: object) -> list[int]:
    answer = get(site, "candidates", **query)
    assert answer.status == 200, answer.raw
    return [item["id"] for item in answer.json["items"]]


def test_the_newest_come_first_with_what_a_list_shows(site: Site, ids: list[int]) -> None:
    items = get(site, "candidates").json["items"]
    assert [item["id"] for item in items] == ids[::-1]
    evaluated = items[-1]
    assert (evaluated["error_code"], evaluated["action"], evaluated["decision"]) == (
        "TIMEOUT",
        "retry_exponential",
        "pending",
    )
    assert (evaluated["due"], items[0]["due"]) == (False, True)
    assert (items[0]["occurrence_count"], items[0]["source"]) == (3, "b")
    assert datetime.fromisoformat(items[0]["first_seen"]).tzinfo is not None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"source": "a"}, [1, 0]),
        ({"error_code": "UNKNOWN"}, [1]),
        ({"action": "retry_exponential"}, [0]),
        ({"action": "no_such_action"}, []),
        ({"q": "LINE 5"}, [4, 3, 2]),
        ({"q": "100%"}, [0]),
        ({"q": "%"}, [0]),
        ({"q": "unkn"}, [1]),
        ({"due": "false"}, [0]),
        ({"due": "true", "source": "a"}, [1]),
        ({"status": "pending"}, [4, 3, 2, 1, 0]),
        ({"status": "failed"}, []),
        ({"decision": "approved"}, []),
        ({"execution_status": "pending"}, []),
        ({"since": "2000-01-01T00:00:00Z"}, [4, 3, 2, 1, 0]),
        ({"since": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, []),
        ({"order": "oldest"}, [0, 1, 2, 3, 4]),
        ({"order": "occurrences", "limit": 3}, [4, 3, 2]),
        ({"limit": 2, "offset": 1}, [3, 2]),
        ({"offset": 1000}, []),
    ],
)
def test_a_list_has_what_fits_all_conditions(site: Site, ids: list[int], query: Any, found: list[int]) -> None:
    assert listed(site, **query) == [ids[n] for n in found]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_by_the_last_one_seen_leave_none_out_and_repeat_none(site: Site, ids: list[int], order: str) -> None:
    seen: list[int] = []
    after: dict[str, object] = {}
    while True:
        page = get(site, "candidates", order=order, limit=2, **after).json
        seen += [item["id"] for item in page["items"]]
        if page["next_after"] is None:
            break
        after = {"after": page["next_after"]}
        if order == "newest":
            site.ingest(failure(failure_match_id=str(uuid.uuid4())))
    assert seen == (ids[::-1] if order == "newest" else ids)


def test_the_total_is_counted_where_it_is_asked_for(site: Site, ids: list[int]) -> None:
    assert get(site, "candidates").json["total"] is None
    assert get(site, "candidates", total="true", limit=1, source="b").json["total"] == 3
    beyond = get(site, "candidates", total="true", offset=100).json
    assert (beyond["items"], beyond["total"]) == ([], 5)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"after": "0"}, "after"),
        ({"after": "5", "order": "occurrences"}, "after"),
        ({"order": "by name"}, "order"),
        ({"status": "open"}, "status"),
        ({"status": "pending", "decision": "pending"}, "status"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"since": "9999-12-31T23:59:59Z"}, "since"),
        ({"q": ""}, "q"),
        ({"q": "a\x00b"}, "q"),
        ({"source": "x" * 201}, "source"),
        ({"limt": "5"}, "limt"),
    ],
)
def test_a_query_that_says_something_wrong_is_422_and_names_the_field(site: Site, query: Any, field: str) -> None:
    answer = get(site, "candidates", **query)
    assert (answer.status, answer.json["problems"][0]["field"]) == (422, field), answer.raw


def test_what_is_wrong_with_a_query_is_said_as_of_a_failure(site: Site) -> None:
    answer = get(site, "candidates", colour="red")
    assert answer.json["message"] == "the request cannot be taken as it is"
    assert answer.json["problems"] == [{"code": "unknown_field", "field": "colour", "message": "is unknown"}]


def test_one_candidate_is_told_in_full(site: Site, ids: list[int]) -> None:
    site.approve({"candidate_id": ids[0], "decision": "approved", "note": "go"})
    found = get(site, f"candidates/{ids[0]}").json
    assert (found["message"], found["review_note"], found["execution_status"]) == (
        "upstream 100% slow",
        "go",
        "executing",
    )
    assert found["decided_by"] == "test recovery:approve"
    assert found["explain"]["rules"] == ["timeout_retry"]
    assert found["rules_evaluated"][0]["because"] == "the error code contains TIMEOUT"
    assert [step["event_type"] for step in found["provenance"]] == [
        "approved", "action_selected", "rule_evaluated", "created",
    ]  # fmt: skip
    details = found["provenance"][0]["details"]
    assert (details["note"], details["generation"], details["destination"]) == ("go", 1, "there")
    assert [(event["state"], event["destination"]) for event in found["events"]] == [("waiting", "there")]
    assert found["inputs"][0]["type"] == "failure"
    assert "upstream 100% slow" in found["inputs"][0]["value"]
    assert found["dead_letters"] == []
    assert listed(site, status="executing") == [ids[0]]


def test_one_that_is_not_there_is_404(site: Site) -> None:
    answer = get(site, f"candidates/{2**62}")
    assert (answer.status, answer.json["error"]) == (404, "not_found")
    for path in ("candidates/0", "candidates/x", f"candidates/{2**63}"):
        assert get(site, path).status == 422


def test_what_other_programs_wrote_that_python_cannot_read_hides_nothing(site: Site, ids: list[int]) -> None:
    """Planted in PostgreSQL (bad inputs 8, 11, 18): moments without end, a depth and a number that Python refuses."""
    deep = "[" * 7000 + "]" * 7000
    site.sql(
        """UPDATE public.recovery_candidates SET last_occurrence_at = 'infinity', created_at = '-infinity',
           executed_at = '290000-01-01', explain = %s::text::jsonb, execution_result = %s::text::jsonb WHERE id = %s""",
        [deep, f'{{"n": {"9" * 5000}}}', ids[0]],
    )
    assert listed(site) == ids[::-1]
    found = get(site, f"candidates/{ids[0]}").json
    assert (found["first_seen"], found["last_seen"], found["executed_at"]) == (None, None, None)
    assert set(found["explain"]) == set(found["execution_result"]) == {"unreadable"}
    assert get(site, "stats").status == 200


def test_stats_add_up(site: Site, ids: list[int]) -> None:
    site.approve({"candidate_id": ids[0], "decision": "approved"})
    found = get(site, "stats").json
    assert found["candidates"] == 5
    assert found["by_decision"] == {"pending": 4, "approved": 1}
    assert found["by_execution"] == {"none": 4, "executing": 1}
    assert found["by_action"] == {"none": 4, "retry_exponential": 1}
    assert (found["by_source"], found["other_sources"]) == ({"b": 3, "a": 2}, 0)
    assert (found["due"], found["outbox_pending"], found["outbox_dead"]) == (4, 1, 0)
    assert found["due_oldest_seconds"] > 0 < found["pending_oldest_seconds"]


def test_stats_tell_a_bounded_number_of_sources_apart(site: Site, ids: list[int]) -> None:
    site.ingest_batch([failure(source=f"s{n}", failure_match_id=str(uuid.uuid4())) for n in range(100)])
    found = get(site, "stats").json
    assert len(found["by_source"]) == figures.SOURCES
    assert sum(found["by_source"].values()) + found["other_sources"] == found["candidates"] == 105
    assert next(iter(found["by_source"])) == "b"


def test_actions_say_what_carries_them_out(site: Site) -> None:
    found = {item["code"]: item for item in get(site, "actions").json["items"]}
    assert len(found) == 7
    assert (found["retry_exponential"]["event"], found["retry_exponential"]["destination"]) == (
        "webhook:recovery",
        "there",
    )
    assert (found["notify_ops"]["event"], found["notify_ops"]["requires_approval"]) == (None, False)


def dry_run(site: Site, body: object) -> Answer:
    return site.api("POST", f"{PREFIX}/evaluate", body, READ)


def test_a_dry_run_of_a_candidate_decides_as_the_pipeline_does(site: Site, ids: list[int]) -> None:
    for candidate_id in (ids[0], ids[1]):
        tried = dry_run(site, {"candidate_id": candidate_id}).json
        evaluate(site, candidate_id)
        found = get(site, f"candidates/{candidate_id}").json
        assert (tried["candidate_id"], tried["action"], tried["suggestion"]) == (
            candidate_id,
            found["action"],
            found["suggestion"],
        )
        assert tried["confidence"] == pytest.approx(found["confidence"])
        assert [rule["rule"] for rule in tried["rules"]] == found["explain"]["rules"]


def test_an_explanation_tells_of_the_last_evaluation_and_of_now(site: Site, ids: list[int]) -> None:
    before = get(site, f"candidates/{ids[1]}/explanation").json
    assert (before["then"], before["missing"]) == (None, "there is no record of an evaluation")
    evaluate(site, ids[1])
    found = get(site, f"candidates/{ids[1]}/explanation").json
    assert (found["missing"], found["differs"], found["since"]) == (None, False, [])
    for told in (found["then"], found["now"]):
        lines = {section["title"]: section["lines"] for section in told}
        assert lines["Why manual_intervention"] == [
            "unknown_manual: manual_intervention with 0.5, because the error code contains UNKNOWN"
        ]
    assert get(site, f"candidates/{2**62}/explanation").status == 404


def test_a_dry_run_of_a_failure_counts_it_on_its_candidate_and_writes_nothing(site: Site, ids: list[int]) -> None:
    before = everything(site)
    known = failure("line 5", "PARSE_ERROR", source="b", failure_match_id=str(uuid.UUID(int=5)))
    assert dry_run(site, known).json["occurrence_count"] == 4
    assert dry_run(site, known).json["candidate_id"] == ids[4]
    new = dry_run(site, {"error_type": "HTTP_503"}).json
    assert (new["candidate_id"], new["occurrence_count"], new["action"]) == (None, 1, "circuit_breaker")
    assert (new["execute"], new["reason"]) == (False, "needs_approval")
    assert everything(site) == before


def test_a_dry_run_goes_by_what_came_of_past_cases(site: Site, ids: list[int]) -> None:
    for number in range(4):
        case = site.ingest(failure("x", "ODD", failure_match_id=str(uuid.UUID(int=100 + number)))).json["candidate_id"]
        site.sql(
            """INSERT INTO m10_recovery.execution
                   (execution_id, candidate_id, round, generation, action_id, error_code, begun_by, status, ended_by,
                    closed_at, result, result_at)
               VALUES (gen_random_uuid(), %s, 1, 1, 1, 'ODD', 'test', 'succeeded', 'answer',
                       now(), 'succeeded', now())""",
            [case],
        )
    found = dry_run(site, {"error_type": "ODD"}).json
    assert (found["action"], found["rules"][0]["rule"]) == ("retry_exponential", "historical_success")
    assert dry_run(site, {"candidate_id": case}).json["rules"] == found["rules"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"candidate_id": 2**62}, 404),
        ({"candidate_id": 0}, 422),
        ({"candidate_id": "5"}, 422),
        ({"candidate_id": True}, 422),
        ({"candidate_id": 5, "error_type": "X"}, 422),
        ({}, 422),
        ([], 422),
        (b"{", 400),
        (b"x" * 300_000, 413),
    ],
)
def test_a_dry_run_of_what_is_neither_says_so(site: Site, body: object, status: int) -> None:
    answer = dry_run(site, body)
    assert answer.status == status
    assert set(answer.json) == {"error", "message", "problems"}


def test_filters_of_the_store_are_those_of_the_api(site: Site, ids: list[int]) -> None:
    page = candidates.page(site.services.database, CandidateFilter(source="b", order="oldest"), 2, with_total=True)
    assert ([each.id for each in page.items], page.total) == (ids[2:4], 3)
    assert candidates.one(site.services.database, 2**62) is None


def everything(site: Site) -> object:
    return [
        site.sql(f"SELECT * FROM {table} ORDER BY id")
        for table in ("public.recovery_candidates", "m10_recovery.suggestion_provenance", "m10_recovery.outbox")
    ]
