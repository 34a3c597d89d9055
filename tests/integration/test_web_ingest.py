"""Failures come in over HTTP: one by one, in batches, and in every way that they should not."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from web_kit import (
    LOOPBACK,
    PREFIX,
    Site,
    all_listeners,
    call,
    connect,
    converse,
    failure,
    listening,
    open_site,
    without_postgres,
)

from m10actors import metrics
from m10actors.embedded import EmbeddedServers
from m10actors.web.apps import api_app
from m10actors.web.bodies import Inflow
from m10actors.web.errors import Refusal
from m10actors.web.server import Listener


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(servers.start(), "web_ingest") as site:
        folder: Path = tmp_path_factory.mktemp("web")
        with listening(site, *all_listeners(site.services, folder)):
            yield site


def unique(**envelope: object) -> dict[str, object]:
    """A failure that folds into no other."""
    return failure(failure_match_id=str(uuid.uuid4()), **envelope)


def test_a_new_failure_is_202_and_its_repeat_folds_with_200(site: Site) -> None:
    body = unique()
    first, second = site.ingest(body), site.ingest(body)
    assert (first.status, second.status) == (202, 200)
    assert first.json == {
        "candidate_id": first.json["candidate_id"],
        "status": "accepted",
        "message": "a new candidate was opened",
        "is_duplicate": False,
        "failure_match_id": body["failure_match_id"],
        "occurrence_count": 1,
        "counted": True,
    }
    assert second.json["status"] == "duplicate"
    assert second.json["is_duplicate"] is True
    assert second.json["occurrence_count"] == 2
    assert site.counts(first.json["candidate_id"]) == 2


def test_the_flat_form_is_taken_too(site: Site) -> None:
    answer = site.ingest({"error_type": "HTTP_503", "raw": "down", "failure_match_id": str(uuid.uuid4())})
    assert answer.status == 202


def test_an_idempotency_key_counts_once_even_with_another_payload(site: Site) -> None:
    body = unique(idempotency_key=str(uuid.uuid4()))
    first = site.ingest(body)
    again, other = site.ingest(body), site.ingest({**body, "failure_payload": {"error_type": "OTHER"}})
    assert [answer.status for answer in (first, again, other)] == [202, 200, 200]
    assert [answer.json["counted"] for answer in (first, again, other)] == [True, False, False]
    assert "another payload" in other.json["message"]
    assert site.counts(first.json["candidate_id"]) == 1


def test_a_key_that_comes_again_with_another_failure_is_answered_with_the_candidate_that_it_was_counted_on(
    site: Site,
) -> None:
    """Row 37 of the bad inputs."""
    key = str(uuid.uuid4())
    first, other = unique(idempotency_key=key), unique(idempotency_key=key)
    opened = site.ingest(first).json
    before = metrics.REGISTRY.get_sample_value("m10_ingest_key_conflicts_total") or 0
    again = site.ingest(other)
    assert again.status == 200
    assert (again.json["candidate_id"], again.json["failure_match_id"]) == (
        opened["candidate_id"],
        first["failure_match_id"],
    )
    assert (again.json["counted"], again.json["occurrence_count"]) == (False, 1)
    assert metrics.REGISTRY.get_sample_value("m10_ingest_key_conflicts_total") == before + 1
    query = "SELECT count(*) FROM public.recovery_candidates WHERE failure_match_id = %s"
    assert site.sql(query, [other["failure_match_id"]]) == [(0,)]


def test_a_key_whose_candidate_was_archived_is_answered_with_that_candidate(site: Site) -> None:
    """Keys may be kept for longer than candidates (retention.idempotency, retention.candidates)."""
    body = unique(idempotency_key=str(uuid.uuid4()))
    opened = site.ingest(body).json
    site.sql(
        """UPDATE public.recovery_candidates SET closed_at = now() - interval '1 year',
           last_occurrence_at = now() - interval '1 year' WHERE id = %s""",
        [opened["candidate_id"]],
    )
    assert site.sql("SELECT m10_recovery.archive_candidates('180 days', 10)") == [(1,)]
    again, batch = site.ingest(body), site.ingest_batch([body])
    assert again.status == 200, again.raw
    for answer in (again.json, batch.json["items"][0]):
        assert (answer["candidate_id"], answer["counted"]) == (opened["candidate_id"], False)
        assert answer["occurrence_count"] == 1
    site.sql("TRUNCATE m10_recovery.recovery_candidates_archive")
    assert site.ingest(body).json["candidate_id"] == 0


def test_a_hundred_callers_at_once_are_counted_exactly(site: Site) -> None:
    body = unique()
    with ThreadPoolExecutor(10) as callers:
        answers = list(callers.map(lambda _: site.ingest(body), range(100)))
    assert sorted(answer.status for answer in answers) == [200] * 99 + [202]
    assert site.counts(answers[0].json["candidate_id"]) == 100


def test_who_reported_is_the_name_of_the_token(site: Site) -> None:
    candidate = site.ingest(unique()).json["candidate_id"]
    query = "SELECT created_by FROM public.recovery_candidates WHERE id = %s"
    assert site.sql(query, [candidate]) == [("test recovery:write",)]


def test_text_that_looks_like_code_is_stored_byte_for_byte(site: Site) -> None:
    text = "'; DROP TABLE x; -- ${jndi:ldap://x} {{7*7}} %s {} \n2026-01-01 CRITICAL root \x1b[31m \u202e ñ 🙂"
    candidate = site.ingest(unique(failure_payload={"error_type": "X", "raw": text})).json["candidate_id"]
    query = "SELECT raw_value::jsonb ->> 'raw' FROM m10_recovery.suggestion_input WHERE suggestion_id = %s"
    assert site.sql(query, [candidate]) == [(text,)]


def payload(raw: str) -> bytes:
    """A body whose meta is this piece of JSON."""
    return b'{"failure_payload": {"error_type": "X", "meta": {"v": %s}}}' % raw.encode()


# By the row of the table of bad inputs. What is right although it looks wrong is in GOOD, what is about the request as
# such (rows 14, 28, 37 and 41) in tests of its own below.
BAD = {
    "row-1-nul-byte": (b'{"failure_payload": {"error_type": "a\x00b"}}', 400, "invalid_text"),
    "row-2-nul-escape": (payload('"\\u0000"'), 422, "invalid_text"),
    "row-4-lone-surrogate": (payload('"\\ud800"'), 422, "invalid_unicode"),
    "row-5-nan": (payload("NaN"), 422, "invalid_number"),
    "row-5-infinity": (payload("-Infinity"), 422, "invalid_number"),
    "row-6-1e400": (payload("1e400"), 422, "out_of_range"),
    "row-7-1e200000": (payload("1e200000"), 422, "out_of_range"),
    "row-8-5000-digits": (payload("9" * 5000), 422, "out_of_range"),
    "row-9-2^63": (payload(str(2**63)), 422, "out_of_range"),
    "row-11-depth-7000": (payload("[" * 7000 + "]" * 7000), 400, "too_deep"),
    "row-12-depth-100000": (payload("[" * 100_000 + "]" * 100_000), 400, "too_deep"),
    "row-13-duplicate-keys": (b'{"failure_payload": {"error_type": "a", "error_type": "b"}}', 422, "duplicate_key"),
    "row-15-idempotency-key-9000-bytes": (json.dumps(failure(idempotency_key="k" * 9000)).encode(), 422, "too_long"),
    "row-15-signature-9000-bytes": (json.dumps(failure(error_signature="s" * 9000)).encode(), 422, "too_long"),
    "row-17-bad-uuid": (json.dumps(failure(failure_match_id="no")).encode(), 422, "invalid_uuid"),
    "row-17-uuid-in-braces": (json.dumps(failure(failure_match_id="{" + "0" * 34 + "}")).encode(), 422, "invalid_uuid"),
    "row-21-invalid-utf8": (b'{"failure_payload": {"error_type": "\xff"}}', 400, "invalid_unicode"),
    "row-22-empty": (b"", 422, "object_expected"),
    "row-22-null": (b"null", 422, "object_expected"),
    "row-22-array": (b"[]", 422, "object_expected"),
    "row-22-number": (b"7", 422, "object_expected"),
    "row-22-string": (b'"x"', 422, "object_expected"),
    "row-22-no-json": (b"{'a': 1}", 400, "invalid_json"),
    "row-23-nothing": (b"{}", 422, "missing_field"),
    "row-23-blank": (b'{"failure_payload": {"error_type": "  "}}', 422, "missing_field"),
    "row-24-number-for-text": (b'{"failure_payload": {"error_type": 5}}', 422, "invalid_type"),
    "row-23-null": (b'{"failure_payload": null}', 422, "missing_field"),
    "row-24-true-for-text": (b'{"error_type": true}', 422, "invalid_type"),
    "row-24-array-for-object": (b'{"failure_payload": []}', 422, "object_expected"),
    "row-24-text-for-bool": (json.dumps(failure(enqueue_evaluation="true")).encode(), 422, "invalid_type"),
    "row-25-unknown-field": (json.dumps(failure(sorce="x")).encode(), 422, "unknown_field"),
    "row-26-300-keys": (payload(json.dumps({str(n): n for n in range(300)})), 422, "too_many_keys"),
    "row-26-long-key": (payload(json.dumps({"k" * 1000: 1})), 422, "too_long"),
}

GOOD = {
    "row-6-float64-limit": payload("1e308"),
    "row-9-int64-limits": payload(f"[{2**63 - 1}, {-(2**63)}]"),
    "row-11-depth-60": payload("[" * 60 + "]" * 60),
    "row-16-decomposed": json.dumps(failure("e\u0301 ", "Code ")).encode(),
    "row-17-dates-are-data": payload('"2026-02-30"'),
    "row-18-infinity-is-data": payload('["infinity", "290000-01-01T00:00:00Z"]'),
    "row-19-naive-time-is-data": payload('"2026-01-01T00:00:00"'),
    "row-20-another-clock-is-data": payload('"2090-01-01T00:00:00Z"'),
    "row-25-unknown-fields-of-the-payload": b'{"failure_payload": {"error_type": "X", "host": "h", "try": 3}}',
    "row-26-proto-and-dots": payload('{"__proto__": {"a": 1}, "a.b": 2, "": 3}'),
    "row-29-escapes": payload('"a\\nb\\u001b[31m %s {} "'),
    "row-30-templates": payload('"\'; DROP TABLE x; -- ${jndi:ldap://x} {{7*7}}"'),
    "row-31-percent": payload('"100% %(x)s"'),
}


@pytest.mark.parametrize("row", GOOD)
def test_input_that_is_only_unusual_is_stored_as_it_came(site: Site, row: str) -> None:
    body = {**json.loads(GOOD[row]), "failure_match_id": str(uuid.uuid4())}
    answer = site.ingest(body)
    assert answer.status == 202, answer.raw
    query = "SELECT raw_value FROM m10_recovery.suggestion_input WHERE suggestion_id = %s"
    assert json.loads(site.sql(query, [answer.json["candidate_id"]])[0][0]) == body["failure_payload"]


@pytest.mark.parametrize("row", BAD)
def test_bad_input_is_refused_with_its_code_and_counted(site: Site, row: str) -> None:
    raw, status, code = BAD[row]
    before = metrics.REGISTRY.get_sample_value("recovery_ingest_total", {"status": "rejected", "source": ""}) or 0
    stored = site.sql("SELECT count(*) FROM public.recovery_candidates")
    answer = site.ingest(raw)
    assert (answer.status, answer.json["problems"][0]["code"]) == (status, code), answer.raw
    assert set(answer.json) == {"error", "message", "problems"}
    assert site.sql("SELECT count(*) FROM public.recovery_candidates") == stored
    after = metrics.REGISTRY.get_sample_value("recovery_ingest_total", {"status": "rejected", "source": ""})
    assert after == before + 1


# Not what makes the whole array unreadable; a key that stands twice is looked for in single bodies only.
@pytest.mark.parametrize(
    "row", [row for row, (raw, status, _) in BAD.items() if status == 422 and raw and row != "row-13-duplicate-keys"]
)
def test_a_malformed_item_spoils_only_itself_in_an_array(site: Site, row: str) -> None:
    raw, _, code = BAD[row]
    good = json.dumps(unique()).encode()
    answer = site.ingest_batch(b"[%s,%s,%s]" % (good, raw, good))
    assert answer.status == 200, answer.raw
    assert [item["status"] for item in answer.json["items"]] == ["accepted", "rejected", "duplicate"]
    assert answer.json["items"][1]["problems"][0]["code"] == code


@pytest.mark.parametrize("row", [row for row, (raw, _, _) in BAD.items() if raw and row != "row-13-duplicate-keys"])
def test_a_malformed_line_spoils_only_itself_in_ndjson(site: Site, row: str) -> None:
    raw, _, code = BAD[row]
    good = json.dumps(unique()).encode()
    answer = site.ingest_batch(b"%s\n%s\r\n\n%s\n" % (good, raw, good), content_type="application/x-ndjson")
    assert answer.status == 200, answer.raw
    assert [item["status"] for item in answer.json["items"]] == ["accepted", "rejected", "duplicate"]
    assert answer.json["items"][1]["index"] == 1
    assert answer.json["items"][1]["problems"][0]["code"] == code


def test_a_batch_of_a_thousand_is_counted_item_by_item(site: Site) -> None:
    ids = [str(uuid.uuid4()) for _ in range(500)]
    items = [failure(failure_match_id=ids[n % 500], idempotency_key=f"{ids[0]} {n}") for n in range(1000)]
    answer = site.ingest_batch(items)
    assert answer.status == 200
    assert (answer.json["accepted"], answer.json["duplicates"], answer.json["rejected"]) == (500, 500, 0)
    assert [item["index"] for item in answer.json["items"]] == list(range(1000))
    query = "SELECT sum(occurrence_count) FROM public.recovery_candidates WHERE failure_match_id = ANY(%s::uuid[])"
    assert site.sql(query, [ids]) == [(1000,)]


def test_a_key_that_stands_twice_in_a_batch_counts_once(site: Site) -> None:
    item = unique(idempotency_key=str(uuid.uuid4()))
    answer = site.ingest_batch([item, item])
    assert [(i["status"], i["counted"]) for i in answer.json["items"]] == [("accepted", True), ("duplicate", False)]


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_one_to_a_thousand_items(site: Site, media_type: str, count: int) -> None:
    lines = [json.dumps(failure())] * count
    raw = f"[{','.join(lines)}]" if media_type.endswith("/json") else "\n".join(lines) + "\n"
    answer = site.ingest_batch(raw.encode(), content_type=media_type)
    assert (answer.status, answer.json["problems"][0]["code"]) == (422, "out_of_range")
    assert str(count) in answer.json["problems"][0]["message"]


def test_a_batch_that_is_no_array_is_refused(site: Site) -> None:
    assert site.ingest_batch(failure()).status == 422
    assert site.ingest_batch(b"[").status == 400


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_a_body_larger_than_the_limit_is_413(site: Site, size: int) -> None:
    answer = site.ingest(json.dumps(failure("x" * size)).encode())
    assert (answer.status, answer.json["error"]) == (413, "too_large")


def test_a_body_that_does_not_say_how_large_it_is_is_413_too(site: Site) -> None:
    raw = json.dumps(failure("x" * 300_000)).encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _pieces(raw, 10_000)) + b"0\r\n\r\n"
    assert b" 413 " in converse(site.addresses["api"], _head(site, b"transfer-encoding: chunked") + chunked)[:20]


def test_a_body_without_an_end_is_cut_off(site: Site) -> None:
    endless = b"10000\r\n%s\r\n" % (b"x" * 65_536) * 100
    with suppress(ConnectionError):  # the answer may be lost: far too much was on its way
        assert b" 413 " in converse(site.addresses["api"], _head(site, b"transfer-encoding: chunked") + endless)[:20]
    assert site.ingest(unique()).status == 202


def test_a_body_that_fits_is_taken_in_chunks_too(site: Site) -> None:
    raw = json.dumps(unique()).encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _pieces(raw, 7)) + b"0\r\n\r\n"
    assert b" 202 " in converse(site.addresses["api"], _head(site, b"transfer-encoding: chunked") + chunked)[:20]


def test_a_length_that_lies_stores_nothing(site: Site) -> None:
    raw = json.dumps(failure(f"lies {uuid.uuid4()}")).encode()
    stored = site.sql("SELECT count(*) FROM public.recovery_candidates")
    short = converse(site.addresses["api"], _head(site, b"content-length: 10") + raw)
    assert b" 400 " in short[:20]
    assert site.sql("SELECT count(*) FROM public.recovery_candidates") == stored


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/xml"},
        {"content_type": "application/x-ndjson"},
        {"content_type": ""},
        {"content_encoding": "gzip"},
    ],
)
def test_other_media_types_and_compression_are_415(site: Site, headers: dict[str, str]) -> None:
    answer = site.ingest(failure(), **headers)
    assert answer.status == 415
    assert answer.json["error"] in {"media_type", "content_encoding"}


def test_the_limits_are_settings(site: Site) -> None:
    with limited(site, max_body=100, max_batch_items=2, max_batch_bytes=400) as tight:
        assert tight.ingest({"error_type": "X"}).status in {200, 202}
        assert tight.ingest({"error_type": "X" * 100}).status == 413
        assert tight.ingest_batch([{"error_type": "X"}] * 3).status == 422
        assert tight.ingest_batch([{"error_type": "X" * 400}]).status == 413


def test_what_all_callers_have_on_its_way_is_bounded() -> None:
    inflow = Inflow(100)
    inflow.take(150)
    with pytest.raises(Refusal) as refused:
        inflow.take(1)
    assert refused.value.status == 429
    assert refused.value.headers["Retry-After"]
    inflow.give_back(150)
    inflow.take(60)
    inflow.take(40)


def test_what_is_refused_gives_back_its_share_too(site: Site) -> None:
    with limited(site, max_in_flight_bytes=1000) as tight:
        for _ in range(20):
            assert tight.ingest(b"x" * 900).status == 400
            assert tight.ingest(b"x" * 300_000).status == 413
        assert tight.ingest(unique()).status == 202


@contextmanager
def limited(site: Site, **limits: int) -> Iterator[Site]:
    """Another endpoint on the same services, with other limits."""
    services = replace(site.services, limits=replace(site.services.limits, **limits))
    other = Site(services, site.ops_database, site.token, url=site.url)
    with listening(other, Listener("api", LOOPBACK, api_app(services))):
        yield other


def test_postgres_stopped_is_503_and_nothing_accepted_is_lost(servers: EmbeddedServers, site: Site) -> None:
    body = unique()
    candidate = site.ingest(body).json["candidate_id"]
    with without_postgres(servers, site):
        one, batch = site.ingest(body), site.ingest_batch([body])
    for answer in (one, batch):
        assert (answer.status, answer.json["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert site.ingest(body).json["occurrence_count"] == 2
    assert site.counts(candidate) == 2


def test_without_redis_a_failure_is_accepted_all_the_same(servers: EmbeddedServers, site: Site) -> None:
    servers.valkey.stop()
    try:
        answer = site.ingest(unique())
    finally:
        servers.valkey.start()
    assert answer.status == 202
    query = "SELECT count(*) FROM m10_recovery.work_queue WHERE candidate_id = %s"
    assert site.sql(query, [answer.json["candidate_id"]]) == [(1,)]


def test_data_that_only_postgres_refuses_spoils_only_itself(site: Site) -> None:
    site.sql("ALTER TABLE public.recovery_candidates ADD CONSTRAINT no_bad CHECK (error_code <> 'BAD') NOT VALID")
    try:
        alone = site.ingest(unique(failure_payload={"error_type": "BAD", "raw": "SECRET-VALUE"}))
        items = [unique(), unique(failure_payload={"error_type": "BAD"}), unique()]
        batch = site.ingest_batch(items)
    finally:
        site.sql("ALTER TABLE public.recovery_candidates DROP CONSTRAINT no_bad")
    assert (alone.status, alone.json["error"]) == (422, "store_refused")
    assert "23514" in alone.json["message"]
    assert b"SECRET" not in alone.raw
    assert [item["status"] for item in batch.json["items"]] == ["accepted", "rejected", "accepted"]
    assert batch.json["items"][1]["problems"][0]["code"] == "store_refused"


def test_a_caller_may_go_away_in_the_middle(site: Site) -> None:
    connection = connect(site.addresses["api"])
    connection.putrequest("POST", f"{PREFIX}/ingest")
    for name, value in _headers(site).items():
        connection.putheader(name, value)
    connection.putheader("content-length", "1000")
    connection.endheaders(b'{"failure')
    connection.close()
    assert call(site.addresses["api"], "GET", "/healthz").status == 200


def _headers(site: Site) -> dict[str, str]:
    return {"authorization": f"Bearer {site.token['recovery:write']}", "content-type": "application/json"}


def _head(site: Site, *headers: bytes) -> bytes:
    """The head of an ingest request on a connection that is closed after it."""
    lines = [f"POST {PREFIX}/ingest HTTP/1.1".encode(), b"host: localhost", b"connection: close", *headers]
    lines += [f"{name}: {value}".encode() for name, value in _headers(site).items()]
    return b"\r\n".join([*lines, b"", b""])


def _pieces(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]
