"""From an answer to an outcome, and from foreign text to what may be kept of it."""

from datetime import UTC, datetime, timedelta

import pytest

from m10actors.delivery.outcome import Answer, Dead, Delivered, Outcome, ReceiverAhead, Retry, classify
from m10actors.delivery.text import LIMIT, excerpt

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outcome(status: int, body: bytes = b"", retry_after: str | None = None) -> Outcome:
    return classify(Answer(status, retry_after, body), "retry", "shown", NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    assert outcome(status) == Delivered(status, running=False, excerpt="shown")


@pytest.mark.parametrize(
    ("body", "running"),
    [
        (b'{"status": "running"}', True),
        (b'{"status": "running", "id": 7}', True),
        (b'{"status": "done"}', False),
        (b'["running"]', False),
        (b"running", False),
        (b"\xff\xfe", False),
        (b"[" * 60_000, False),
    ],
)
def test_a_success_may_be_still_running(body: bytes, running: bool) -> None:
    assert outcome(200, body) == Delivered(200, running, "shown")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_receiver_will_never_take_is_dead_at_once(status: int) -> None:
    assert outcome(status) == Dead(f"http_{status}", status, "shown", pause_destination=False)


def test_a_receiver_that_is_gone_pauses_its_destination() -> None:
    assert outcome(410) == Dead("http_410", 410, "shown", pause_destination=True)


def test_a_conflict_is_what_the_destination_says_it_is() -> None:
    assert outcome(409) == Retry("http_409: shown", counted=True, status=409)
    assert classify(Answer(409, None, b""), "delivered", "", NOW) == Delivered(409, running=False, excerpt="")


def test_a_receiver_that_has_seen_a_newer_epoch_is_an_outcome_of_its_own() -> None:
    assert outcome(412) == ReceiverAhead(412, "shown")


@pytest.mark.parametrize("status", [101, 300, 301, 302, 307, 308, 401, 403, 404, 408, 425, 500, 502, 504, 599])
def test_every_other_answer_is_retried_and_counted(status: int) -> None:
    assert outcome(status, retry_after="60") == Retry(f"http_{status}: shown", counted=True, status=status)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("120", timedelta(seconds=120)),
        ("0", timedelta(seconds=1)),
        ("99999999999", timedelta(hours=24)),
        ("9" * 5_000, timedelta(hours=24)),
        ("-5", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:01:00 GMT", timedelta(seconds=60)),
        ("Thu, 01 Jan 2015 12:00:00 GMT", timedelta(seconds=1)),
        ("Thu, 01 Jan 2099 12:00:00 GMT", timedelta(hours=24)),
        ("Thu, 99 Jan 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_honoured_within_bounds(status: int, header: str | None, wait: timedelta | None) -> None:
    assert outcome(status, retry_after=header) == Retry(f"http_{status}: shown", True, wait, status)


def test_an_excerpt_is_one_short_printable_line() -> None:
    text = excerpt(b"ok\r\n2026-01-01 CRITICAL root login\x1b[31m\x00\xff" + b"x" * 1_000)
    assert text.isprintable()
    assert text.startswith(r"ok\r\n2026-01-01 CRITICAL root login\x1b[31m\x00")
    assert len(text) == LIMIT
    assert excerpt("grün \u202e\ud800") == r"grün \u202e\ud800"


def test_an_excerpt_hides_the_credentials_that_a_receiver_echoes() -> None:
    assert excerpt(b"bad token abcdefgh-long and abcdefgh", {"abcdefgh", "abcdefgh-long"}) == "bad token *** and ***"
