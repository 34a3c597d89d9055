"""A reported failure: its forms, its strict types, its identity."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4, uuid5

import pytest

from m10actors.recovery.failure import Failure, key_from, parse
from m10actors.recovery.fingerprint import NAMESPACE, fingerprint, match_id, signature
from m10actors.recovery.problems import Code, InvalidFailure

PAYLOAD = {"error_type": "TIMEOUT", "raw": "no answer after 30 s", "meta": {"attempt": 3}}


def problems_of(item: object) -> list[tuple[Code, str]]:
    with pytest.raises(InvalidFailure) as refused:
        parse(item)
    return [(problem.code, problem.field) for problem in refused.value.problems]


def with_payload(**fields: Any) -> Failure:
    return parse({"failure_payload": fields})


def test_an_envelope_becomes_a_failure() -> None:
    failure = parse({"failure_payload": PAYLOAD, "source": "billing", "enqueue_evaluation": False})
    assert (failure.error_code, failure.error_message) == ("TIMEOUT", "no answer after 30 s")
    assert failure.source == "billing"
    assert failure.payload == PAYLOAD
    assert failure.idempotency_key is None
    assert not failure.enqueue_evaluation


def test_the_flat_form_is_the_same_failure() -> None:
    flat = parse({**PAYLOAD, "source": "billing", "idempotency_key": "k"})
    assert flat == parse({"failure_payload": PAYLOAD, "source": "billing", "idempotency_key": "k"})


@pytest.mark.parametrize("field", ["raw", "error_message", "message"])
@pytest.mark.parametrize("code", ["error_type", "error_code"])
def test_every_name_of_code_and_message_is_read(code: str, field: str) -> None:
    failure = parse({code: "DNS", field: "no such host"})
    assert (failure.error_code, failure.error_message) == ("DNS", "no such host")


def test_the_first_name_that_is_there_counts() -> None:
    failure = with_payload(
        error_code="HTTP_503", error_type="UpstreamError", message="third", raw=None, error_message="second"
    )
    assert (failure.error_code, failure.error_message) == ("UpstreamError", "second")


def test_a_failure_without_a_code_is_unknown() -> None:
    assert with_payload(raw="it broke").error_code == "UNKNOWN"


def test_a_failure_with_a_code_needs_no_message() -> None:
    assert with_payload(error_type="TimeoutError", raw="").error_message == ""


def test_null_is_the_same_as_absent() -> None:
    item = {"failure_payload": PAYLOAD, "source": None, "failure_match_id": None, "error_signature": None}
    assert parse({**item, "idempotency_key": None, "enqueue_evaluation": None}) == parse({"failure_payload": PAYLOAD})


def test_the_source_that_is_not_sent_is_the_default() -> None:
    assert parse({"failure_payload": PAYLOAD}).source == "api"
    assert parse({"failure_payload": PAYLOAD}, default_source="file").source == "file"


def test_unknown_fields_are_kept_inside_the_payload() -> None:
    assert with_payload(error_type="X", trace_id="t-1", meta={"any": ["thing"]}).payload["trace_id"] == "t-1"
    assert parse({"error_type": "X", "trace_id": "t-1"}).payload == {"error_type": "X", "trace_id": "t-1"}


def test_an_unknown_field_of_the_envelope_is_refused_with_the_near_one() -> None:
    with pytest.raises(InvalidFailure, match=r"'idempotencykey' is unknown; did you mean idempotency_key\?"):
        parse({"failure_payload": PAYLOAD, "idempotencykey": "k"})
    assert problems_of({"failure_paylod": PAYLOAD}) == [
        (Code.UNKNOWN_FIELD, "'failure_paylod'"),
        (Code.MISSING_FIELD, "failure_payload"),
    ]


@pytest.mark.parametrize(
    ("item", "code", "field"),
    [
        (None, Code.OBJECT_EXPECTED, ""),
        ([PAYLOAD], Code.OBJECT_EXPECTED, ""),
        (5, Code.OBJECT_EXPECTED, ""),
        ("text", Code.OBJECT_EXPECTED, ""),
        ({}, Code.MISSING_FIELD, "failure_payload"),
        ({"failure_payload": {}}, Code.MISSING_FIELD, "failure_payload.error_type"),
        ({"failure_payload": {"raw": " \n"}}, Code.MISSING_FIELD, "failure_payload.error_type"),
        ({"failure_payload": []}, Code.OBJECT_EXPECTED, "failure_payload"),
        ({"failure_payload": "x"}, Code.OBJECT_EXPECTED, "failure_payload"),
        ({"error_type": " ", "raw": "x"}, Code.MISSING_FIELD, "error_type"),
        ({"error_type": 503, "raw": "x"}, Code.INVALID_TYPE, "error_type"),
        ({"error_type": "X", "raw": {"a": 1}}, Code.INVALID_TYPE, "raw"),
        ({"error_type": "X", "meta": []}, Code.OBJECT_EXPECTED, "meta"),
        ({"error_type": "X" * 201}, Code.TOO_LONG, "error_type"),
        ({"error_type": "X", "source": ""}, Code.MISSING_FIELD, "source"),
        ({"error_type": "X", "source": 7}, Code.INVALID_TYPE, "source"),
        ({"error_type": "X", "source": "s" * 101}, Code.TOO_LONG, "source"),
        ({"error_type": "X", "failure_match_id": "not-a-uuid"}, Code.INVALID_UUID, "failure_match_id"),
        ({"error_type": "X", "failure_match_id": 1}, Code.INVALID_UUID, "failure_match_id"),
        ({"error_type": "X", "failure_match_id": "{" + str(uuid4()) + "}"}, Code.INVALID_UUID, "failure_match_id"),
        ({"error_type": "X", "error_signature": " "}, Code.MISSING_FIELD, "error_signature"),
        ({"error_type": "X", "error_signature": "é" * 101}, Code.TOO_LONG, "error_signature"),
        ({"error_type": "X", "idempotency_key": ""}, Code.MISSING_FIELD, "idempotency_key"),
        ({"error_type": "X", "idempotency_key": "k" * 513}, Code.TOO_LONG, "idempotency_key"),
        ({"error_type": "X", "idempotency_key": 1}, Code.INVALID_TYPE, "idempotency_key"),
        ({"error_type": "X", "enqueue_evaluation": 1}, Code.INVALID_TYPE, "enqueue_evaluation"),
        ({"error_type": "X", "enqueue_evaluation": "true"}, Code.INVALID_TYPE, "enqueue_evaluation"),
        ({"error_type": "X", "meta": {"a": "\x00"}}, Code.INVALID_TEXT, "meta.a"),
        ({"error_type": "X", "raw": "\ud800"}, Code.INVALID_UNICODE, "raw"),
        ({"error_type": "X", "meta": {"n": 2**63}}, Code.OUT_OF_RANGE, "meta.n"),
        ({"error_type": "X", "meta": {"n": float("nan")}}, Code.INVALID_NUMBER, "meta.n"),
        ({"error_type": "X", "meta": {1: 2}}, Code.INVALID_TYPE, "meta[1]"),
        ({"error_type": "X", "meta": {"at": object()}}, Code.INVALID_TYPE, "meta.at"),
        ({"error_type": "X", "raw": "x" * (256 * 1024)}, Code.TOO_LARGE, ""),
    ],
)
def test_a_bad_failure_is_refused_with_code_and_field(item: object, code: Code, field: str) -> None:
    assert problems_of(item) == [(code, field)]


def test_a_value_that_contains_itself_is_too_deep() -> None:
    meta: dict[str, object] = {}
    meta["self"] = meta
    assert problems_of({"error_type": "X", "meta": meta}) == [(Code.TOO_DEEP, "")]


def test_all_problems_of_a_failure_are_told_at_once() -> None:
    bad = {
        "failure_payload": {"error_type": 1, "raw": "\x00", "meta": 2},
        "source": 3,
        "idempotency_key": " ",
        "sauce": 4,
    }
    assert sorted(problems_of(bad)) == [
        (Code.INVALID_TEXT, "failure_payload.raw"),
        (Code.INVALID_TYPE, "failure_payload.error_type"),
        (Code.INVALID_TYPE, "source"),
        (Code.MISSING_FIELD, "idempotency_key"),
        (Code.OBJECT_EXPECTED, "failure_payload.meta"),
        (Code.UNKNOWN_FIELD, "'sauce'"),
    ]


def test_a_number_of_an_enumeration_is_a_number() -> None:
    assert with_payload(error_type="X", meta={"status": HTTPStatus.OK}).payload == {
        "error_type": "X",
        "meta": {"status": 200},
    }


def test_keys_that_are_long_only_together_are_taken() -> None:
    meta = {f"{number:060}": number for number in range(256)}
    assert with_payload(error_type="X", meta=meta).payload["meta"] == meta


@pytest.mark.parametrize(
    "text", ["a\nb\x1b[31m %s {} \r\n CRITICAL", "'; DROP TABLE x; --", "${jndi:ldap://x}", " spaced "]
)
def test_text_round_trips_byte_for_byte(text: str) -> None:
    failure = with_payload(error_type="X", raw=text)
    assert failure.error_message == text
    assert failure.payload["raw"] == text


def test_a_long_message_is_cut_between_characters_and_kept_whole_in_the_payload() -> None:
    failure = with_payload(error_type="X", raw="x" + "é" * 60_000)
    assert failure.error_message == "x" + "é" * 32_767
    assert failure.payload["raw"] == "x" + "é" * 60_000


class TestIdentity:
    def test_of_a_failure_without_one_comes_from_the_fingerprint(self) -> None:
        failure = parse({"failure_payload": PAYLOAD, "source": "billing"})
        digest = fingerprint("TIMEOUT", "no answer after 30 s")
        assert failure.fingerprint == digest
        assert failure.failure_match_id == match_id("billing", digest)
        assert failure.error_signature == digest[:16]

    def test_folds_repeats_that_differ_in_numbers(self) -> None:
        first = with_payload(error_type="TIMEOUT", raw="no answer after 30 s")
        second = with_payload(error_type="TIMEOUT", raw="no answer after 31 s")
        assert (first.failure_match_id, first.error_signature) == (second.failure_match_id, second.error_signature)

    def test_with_a_match_id_alone_has_the_signature_of_the_message(self) -> None:
        own = uuid4()
        failure = parse({"failure_payload": PAYLOAD, "failure_match_id": str(own).upper()})
        assert failure.failure_match_id == own
        assert failure.error_signature == signature("TIMEOUT", "no answer after 30 s")

    def test_with_a_signature_alone_keeps_it_and_the_match_id_of_the_fingerprint(self) -> None:
        failure = parse({"failure_payload": PAYLOAD, "error_signature": "mine"})
        assert failure.error_signature == "mine"
        assert failure.failure_match_id == parse({"failure_payload": PAYLOAD}).failure_match_id

    def test_with_both_keeps_both(self) -> None:
        own = uuid4()
        failure = parse({"failure_payload": PAYLOAD, "failure_match_id": str(own), "error_signature": "mine"})
        assert (failure.failure_match_id, failure.error_signature) == (own, "mine")


class TestIdempotencyKey:
    def test_that_is_a_uuid_is_itself_in_either_case(self) -> None:
        own = uuid4()
        assert key_from(str(own)) == key_from(str(own).upper()) == own

    def test_of_any_text_is_stable(self) -> None:
        assert key_from("order-17") == uuid5(NAMESPACE, "order-17")

    def test_is_compared_after_nfc_and_then_byte_for_byte(self) -> None:
        assert key_from("caf\u00e9") == key_from("cafe\u0301")
        assert len({key_from("key"), key_from("Key"), key_from("key "), key_from(" key")}) == 4


class TestPayloadHash:
    def test_is_the_same_for_the_same_content_in_another_order_or_form(self) -> None:
        other_order = {"meta": {"attempt": 3}, "raw": PAYLOAD["raw"], "error_type": "TIMEOUT"}
        assert parse({"failure_payload": PAYLOAD}).payload_hash == parse(other_order).payload_hash

    @pytest.mark.parametrize(
        "change",
        [
            {"source": "other"},
            {"error_signature": "s"},
            {"failure_match_id": str(uuid4())},
            {"failure_payload": {"raw": "x"}},
        ],
    )
    def test_differs_with_anything_that_was_sent_about_the_failure(self, change: dict[str, object]) -> None:
        assert (
            parse({"failure_payload": PAYLOAD}).payload_hash
            != parse({"failure_payload": PAYLOAD, **change}).payload_hash
        )

    def test_does_not_depend_on_key_and_enqueueing(self) -> None:
        other = parse({"failure_payload": PAYLOAD, "idempotency_key": "k", "enqueue_evaluation": False})
        assert parse({"failure_payload": PAYLOAD}).payload_hash == other.payload_hash
