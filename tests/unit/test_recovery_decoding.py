"""JSON bytes from outside: the rows of the table of bad inputs that come as JSON."""

import json

import pytest

from m10actors.recovery.decoding import MAX_BODY_BYTES, decode, decode_batch
from m10actors.recovery.problems import Code, InvalidFailure


def codes_of(raw: bytes, **options: bool) -> list[tuple[Code, str]]:
    with pytest.raises(InvalidFailure) as refused:
        decode(raw, **options)
    return [(problem.code, problem.field) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        pytest.param(b'{"a": "x\x00y"}', Code.INVALID_TEXT, "", id="row 1: NUL byte"),
        pytest.param(b'{"a": {"b": ["x\\u0000y"]}}', Code.INVALID_TEXT, "a.b[0]", id="row 2: escaped NUL"),
        pytest.param(b'{"a\\u0000": 1}', Code.INVALID_TEXT, "['a\\x00']", id="row 2: NUL in a key"),
        pytest.param(b'{"a": "\\ud800"}', Code.INVALID_UNICODE, "a", id="row 4: lone surrogate"),
        pytest.param(b'{"\\udfff": 1}', Code.INVALID_UNICODE, "['\\udfff']", id="row 4: lone surrogate in a key"),
        pytest.param(b'{"a": NaN}', Code.INVALID_NUMBER, "a", id="row 5: NaN"),
        pytest.param(b'{"a": -Infinity}', Code.INVALID_NUMBER, "a", id="row 5: Infinity"),
        pytest.param(b'{"a": 1e400}', Code.OUT_OF_RANGE, "a", id="row 6: over float64"),
        pytest.param(b'{"a": [0, -1e200000]}', Code.OUT_OF_RANGE, "a[1]", id="row 7: far over float64"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", Code.OUT_OF_RANGE, "a", id="row 8: 5,000 digits"),
        pytest.param(b'{"a": 9223372036854775808}', Code.OUT_OF_RANGE, "a", id="row 9: 2^63"),
        pytest.param(b'{"a": -9223372036854775809}', Code.OUT_OF_RANGE, "a", id="row 9: -2^63 - 1"),
        pytest.param(b"[" * 7_000 + b"]" * 7_000, Code.TOO_DEEP, "", id="row 11: depth 7,000"),
        pytest.param(b'{"a":' * 30_000, Code.TOO_DEEP, "", id="row 12: deep and never closed"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, Code.TOO_DEEP, "", id="row 12: depth 100,000"),
        pytest.param(b'{"a": {"b": 1, "b": 2}}', Code.DUPLICATE_KEY, "'b'", id="row 13: duplicate key"),
        pytest.param(b'"' + b"x" * MAX_BODY_BYTES + b'"', Code.TOO_LARGE, "", id="row 14: more than 256 kB"),
        pytest.param(b'{"a": "\xff\xfe"}', Code.INVALID_UNICODE, "", id="row 21: no UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', Code.INVALID_UNICODE, "", id="row 21: a surrogate in UTF-8"),
        pytest.param(b"", Code.OBJECT_EXPECTED, "", id="row 22: empty"),
        pytest.param(b" \n", Code.OBJECT_EXPECTED, "", id="row 22: blank"),
        pytest.param(
            json.dumps(dict.fromkeys(map(str, range(257)))).encode(), Code.TOO_MANY_KEYS, "", id="row 26: keys"
        ),
        pytest.param(
            json.dumps({"m": {"k" * 129: 1}}).encode(), Code.TOO_LONG, f"m['{'k' * 40}']", id="row 26: long key"
        ),
        pytest.param(
            json.dumps({"é" * 65: 1}).encode(), Code.TOO_LONG, "['" + "\\xe9" * 40 + "']", id="row 26: bytes count"
        ),
        pytest.param(b"{", Code.INVALID_JSON, "", id="cut off"),
        pytest.param(b'{"a": "x\ny"}', Code.INVALID_JSON, "", id="a newline inside a string"),
        pytest.param(b"\xef\xbb\xbf{}", Code.INVALID_JSON, "", id="a byte order mark"),
        pytest.param(b'{"a": 1} {"a": 2}', Code.INVALID_JSON, "", id="two values"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_code_and_path(raw: bytes, code: Code, field: str) -> None:
    assert codes_of(raw) == [(code, field)]


def test_the_position_of_nul_is_told_in_bytes() -> None:
    with pytest.raises(InvalidFailure, match="invalid_text: a contains NUL at byte 2"):
        decode('{"a": "é\\u0000"}'.encode())


def test_a_value_of_the_input_is_never_repeated_in_the_error() -> None:
    with pytest.raises(InvalidFailure) as refused:
        decode(b'{"password": "s3cret\\u0000", "n": 12345678901234567890123}')
    assert "s3cret" not in str(refused.value)
    assert "123456" not in str(refused.value)


def test_all_problems_are_told_at_once_up_to_a_limit() -> None:
    assert codes_of(b'{"a": NaN, "b": "\\ud800", "c": 1e999}') == [
        (Code.INVALID_NUMBER, "a"),
        (Code.INVALID_UNICODE, "b"),
        (Code.OUT_OF_RANGE, "c"),
    ]
    assert len(codes_of(b"[" + b"NaN," * 1_000 + b"NaN]")) == 20


def test_depth_64_is_taken_and_65_is_not() -> None:
    assert decode(b"[" * 64 + b"]" * 64)
    assert codes_of(b"[" * 65 + b"]" * 65) == [(Code.TOO_DEEP, "")]


def test_brackets_inside_strings_are_no_nesting() -> None:
    assert decode(b'["' + b"[" * 1_000 + b'", "\\"' + b"{" * 1_000 + b'"]')


def test_extreme_numbers_that_fit_are_kept() -> None:
    raw = b"[9223372036854775807, -9223372036854775808, 1.7976931348623157e308, true]"
    assert decode(raw) == [2**63 - 1, -(2**63), 1.7976931348623157e308, True]


def test_a_repeated_key_is_taken_where_keys_need_not_be_unique() -> None:
    assert decode(b'{"a": 1, "a": 2}', unique_keys=False) == {"a": 2}


@pytest.mark.parametrize("key", ["__proto__", "a.b", "$where", "constructor", ""])
def test_odd_keys_are_only_data(key: str) -> None:
    assert decode(json.dumps({key: 1}).encode()) == {key: 1}


def test_one_bad_item_of_a_batch_is_left_to_its_own_outcome() -> None:
    good, bad = decode_batch(b'[{"raw": "x"}, {"raw": "\\u0000"}]')
    assert good == {"raw": "x"}
    assert bad == {"raw": "\x00"}


def test_an_item_of_a_batch_may_be_as_deep_as_a_single_body() -> None:
    assert decode_batch(b"[" + b"[" * 64 + b"]" * 64 + b"]")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[]", Code.OUT_OF_RANGE),
        (b"[" + b"0," * 1_000 + b"0]", Code.OUT_OF_RANGE),
        (b'{"raw": "x"}', Code.INVALID_TYPE),
        (b"", Code.OBJECT_EXPECTED),
    ],
)
def test_a_batch_is_an_array_of_1_to_1000(raw: bytes, code: Code) -> None:
    with pytest.raises(InvalidFailure) as refused:
        decode_batch(raw)
    assert refused.value.problems[0].code is code
