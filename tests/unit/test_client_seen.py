"""Exceptions and log records become failures that the API never refuses, whatever they are."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from hypothesis import given, settings
from hypothesis import strategies as st

from m10actors.client.items import line_of
from m10actors.client.plain import MAX_BYTES, plain
from m10actors.client.seen import of_exception, of_record, traceback
from m10actors.recovery.decoding import MAX_BODY_BYTES, decode
from m10actors.recovery.failure import Failure, parse


def caught(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301
    except BaseException as raised:  # noqa: BLE001
        return raised


def stored(payload: Mapping[str, object]) -> Failure:
    """As the server reads it."""
    line = line_of({"failure_payload": payload, "source": "test", "idempotency_key": "k"})
    assert len(line) <= MAX_BODY_BYTES
    return parse(decode(line))


def record(message: object, *args: object, exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord("shop", logging.ERROR, "shop.py", 7, message, args, exc_info)  # type: ignore[arg-type]


def test_an_exception_gives_its_class_its_text_and_its_traceback() -> None:
    failure = stored(of_exception(caught(TimeoutError("no answer within 30 s")), {"order": 17}))
    assert (failure.error_code, failure.error_message) == ("TimeoutError", "no answer within 30 s")
    meta = failure.payload["meta"]
    assert isinstance(meta, dict)
    assert meta["order"] == 17
    assert meta["module"] == "builtins"
    assert f'File "{__file__}", line' in meta["traceback"]
    assert meta["traceback"].endswith("TimeoutError: no answer within 30 s\n")


def test_causes_and_contexts_stand_before_what_they_led_to() -> None:
    try:
        try:
            caught_key = {}["usd"]  # type: ignore[var-annotated]
        except KeyError as error:
            raise ValueError("no price") from error
        assert caught_key
    except ValueError as error:
        text = traceback(error)
    assert text.index("KeyError: 'usd'") < text.index("direct cause") < text.index("ValueError: no price")


def test_a_circle_of_causes_ends() -> None:
    first, second = caught(ValueError("one")), caught(ValueError("two"))
    first.__cause__, second.__cause__ = second, first
    assert traceback(first).count("ValueError: one") == 1


def test_a_group_names_what_is_in_it() -> None:
    group = ExceptionGroup("both failed", [OSError("disk"), TimeoutError("net")])
    assert "  | OSError: disk" in traceback(caught(group))


def test_an_exception_whose_text_raises_is_captured_all_the_same() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    failure = stored(of_exception(caught(Broken()), {}))
    assert failure.error_message == "<Broken whose __str__ raised RuntimeError>"


def test_a_deep_recursion_keeps_its_beginning_and_its_end() -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        raise ValueError("bottom")

    try:
        deeper(600)
    except ValueError as error:
        text = traceback(error)
    assert "frames left out" in text
    assert text.count("  File ") == 50


def test_the_largest_exception_with_the_largest_meta_is_within_the_limit_of_a_body() -> None:
    worst = "\x01" * 1_000_000
    error = caught(type(worst[:1_000], (Exception,), {})(worst))
    for _ in range(10):
        try:
            raise ValueError(worst) from error  # noqa: TRY301
        except ValueError as raised:
            error = raised
    failure = stored(of_exception(error, {f"{number}{worst[:500]}": worst for number in range(1_000)}))
    assert failure.error_code == "ValueError"


def test_nul_and_lone_surrogates_arrive_as_escapes() -> None:
    failure = stored(of_exception(caught(ValueError("a\0b\ud800c")), {"\0": "\udfff"}))
    assert failure.error_message == "a\\0b\\ud800c"


def test_an_exception_without_a_name_is_unknown() -> None:
    assert stored(of_exception(caught(type("", (Exception,), {})()), {})).error_code == "UNKNOWN"


def test_a_log_record_with_an_exception_is_that_exception() -> None:
    caught_one = caught(OSError(28, "No space left on device"))
    failure = stored(of_record(record("order %d is lost", 17, exc_info=(OSError, caught_one, None))))
    assert (failure.error_code, failure.error_message) == ("OSError", "[Errno 28] No space left on device")
    assert failure.payload["meta"]["log_message"] == "order 17 is lost"  # type: ignore[index]


def test_a_log_record_without_one_has_the_kind_that_its_words_tell() -> None:
    failure = stored(of_record(record("HTTP 503 from %s", "payments")))
    assert (failure.error_code, failure.error_message) == ("HTTP_503", "HTTP 503 from payments")
    assert stored(of_record(record("odd"))).error_code == "UNKNOWN"


def test_a_log_record_whose_arguments_do_not_fit_keeps_its_message() -> None:
    assert stored(of_record(record("%d and %d", "one"))).error_message == "%d and %d"


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(object())),
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(st.one_of(st.text(), st.integers()), inner), st.frozensets(st.integers())
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), values))
def test_any_meta_becomes_json_that_can_be_stored(meta: dict[str, object]) -> None:
    stored(of_exception(ValueError("x"), meta))


def test_a_number_of_an_enumeration_is_a_number() -> None:
    assert plain({"status": HTTPStatus.OK}) == {"status": 200}


def test_meta_that_contains_itself_or_raises_does_no_harm() -> None:
    circle: dict[str, object] = {}
    circle["left"] = circle["right"] = circle

    class Raises(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            raise OSError

        def __iter__(self) -> Iterator[str]:
            raise OSError

        def __len__(self) -> int:
            return sys.maxsize

    assert len(json.dumps(plain(circle))) <= MAX_BYTES
    assert plain(Raises()) == {"left_out": "reading it raised OSError"}
