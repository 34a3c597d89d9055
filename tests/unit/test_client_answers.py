"""What an answer means, how a batch is cut, when it is tried again, and what importing the client brings."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from m10actors.client import NotPermitted, RecoveryClient, Refused, Rejected, Stored, Unavailable, WrongAddress
from m10actors.client.answers import outcomes
from m10actors.client.dispatcher import pause_after
from m10actors.client.errors import ClientError
from m10actors.client.items import reporting, storing
from m10actors.client.results import Outcome, Problem
from m10actors.client.retrying import perform

STORED = Stored(1, "accepted", UUID(int=1), 1, True, "a new candidate was opened")
ITEM = {
    "candidate_id": 1,
    "status": "accepted",
    "message": "a new candidate was opened",
    "is_duplicate": False,
    "failure_match_id": str(UUID(int=1)),
    "occurrence_count": 1,
    "counted": True,
}
PROBLEM = {"code": "too_deep", "field": "meta", "message": "is too deep"}


def read(status: int, answer: object, headers: dict[str, str] | None = None, expected: int = 1) -> list[Outcome]:
    return outcomes("http://m10", status, headers or {}, json.dumps(answer).encode(), expected)


def test_each_item_of_an_answer_is_an_outcome() -> None:
    found = read(200, {"items": [ITEM, {"status": "rejected", "problems": [PROBLEM]}]}, expected=2)
    assert found == [STORED, Rejected((Problem("too_deep", "meta", "is too deep"),))]


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (401, {"error": "unauthorized", "message": "the token is not known"}, NotPermitted),
        (403, {}, NotPermitted),
        (413, {"error": "too_large", "message": "the body is too large", "problems": [PROBLEM]}, Refused),
        (422, {"error": "store_refused", "message": "PostgreSQL refused the data"}, Refused),
        (429, {}, Unavailable),
        (503, {"message": "PostgreSQL cannot store it at the moment"}, Unavailable),
        (500, [], Unavailable),
        (301, {}, WrongAddress),
        (404, {"error": "not_found", "message": "there is nothing at this path"}, WrongAddress),
        (422, {"detail": "of another API"}, WrongAddress),
        (200, {}, WrongAddress),
        (200, {"items": [{"status": "accepted"}]}, WrongAddress),
        (200, {"items": []}, WrongAddress),
    ],
)
def test_every_status_is_one_decision(status: int, answer: object, error: type[ClientError]) -> None:
    with pytest.raises(error):
        read(status, answer)


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("99999999", 60.0), ("-1", 0.0), ("soon", 0.0), ("", 0.0)])
def test_retry_after_is_believed_within_reason(text: str, seconds: float) -> None:
    with pytest.raises(Unavailable) as refused:
        read(503, {}, {"retry-after": text})
    assert refused.value.retry_after == seconds


class Server:
    """Takes batches of up to `most` lines, except those with a word that it cannot bear."""

    def __init__(self, most: int = 1_000, weather: Sequence[ClientError] = ()) -> None:
        self.taken: list[bytes] = []
        self.calls = 0
        self._most = most
        self._weather = list(weather)

    def send(self, lines: Sequence[bytes]) -> list[Outcome]:
        self.calls += 1
        if self._weather:
            raise self._weather.pop(0)
        if len(lines) > self._most or any(b"unbearable" in line for line in lines):
            raise Refused("too much", (Problem("too_large", "", "too much"),))
        self.taken += lines
        return [STORED] * len(lines)

    def close(self) -> None:
        pass


def test_a_batch_that_is_refused_as_a_whole_leaves_out_only_what_is_at_fault() -> None:
    server, lines = Server(most=3), [b"%d\n" % number for number in range(20)]
    lines[7] = b"unbearable\n"
    found = perform(storing(lines), server, patience=0)
    assert [isinstance(outcome, Stored) for outcome in found] == [number != 7 for number in range(20)]
    assert server.taken == lines[:7] + lines[8:]


def test_a_call_keeps_its_keys_over_its_retries() -> None:
    server = Server(weather=[Unavailable("away"), Unavailable("still away")])
    perform(reporting([{"raw": "x"}], "test"), server, patience=30)
    assert server.calls == 3
    assert UUID(json.loads(server.taken[0])["idempotency_key"])


def test_patience_ends_and_what_was_not_sent_can_be_given_in_again_with_its_keys() -> None:
    failures: list[Any] = [{"raw": str(number)} for number in range(1_500)]
    failures[3] = {"raw": ""}
    failures[1_200] = "no failure"
    server = Server()
    steps = reporting(failures, "test")
    next(steps)
    steps.send([STORED] * 999)
    with pytest.raises(Unavailable) as stopped:
        steps.throw(Unavailable("away"))
    assert [outcome.status for outcome in stopped.value.outcomes].count("rejected") == 1
    assert len(stopped.value.outcomes) == 1_000
    assert len(stopped.value.unsent) == 500
    rest = perform(reporting(stopped.value.unsent, "test"), server, patience=0)
    assert [outcome.status for outcome in rest].count("rejected") == 1
    keys = [json.loads(line)["idempotency_key"] for line in server.taken]
    assert keys == [item["idempotency_key"] for item in stopped.value.unsent if isinstance(item, dict)]


def test_batches_hold_so_many_items_and_so_many_bytes() -> None:
    steps = reporting([{"raw": "x" * 200_000} for _ in range(50)], "test")
    sizes = [sum(map(len, batch)) for batch in batches_of(steps)]
    assert len(sizes) > 1
    assert max(sizes) <= 4 * 1024 * 1024


def batches_of(steps: Any) -> list[Sequence[bytes]]:
    found = [next(steps)]
    try:
        while True:
            found.append(steps.send([STORED] * len(found[-1])))
    except StopIteration:
        return found


def test_pauses_grow_to_a_limit_and_respect_what_the_server_asks_for() -> None:
    away = Unavailable("away")
    assert pause_after(away, 1, 1.0) == 0.2
    assert pause_after(away, 10_000, 1.0) == 5.0
    assert pause_after(Unavailable("busy", 7.0), 1, 0.0) == 7.0
    assert pause_after(NotPermitted("no"), 1, 0.0) == 30.0


def circle() -> object:
    found: list[object] = []
    found += [found, found]
    return found


def nested(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        ({"raw": "a\0b"}, "invalid_text: raw contains NUL at byte 1"),
        ({"raw": "x", "meta": {"a b": ["\0"]}}, "invalid_text: meta['a b'][0] contains NUL at byte 0"),
        ({"raw": "\ud800"}, "invalid_unicode: raw contains a lone surrogate"),
        ({"raw": "x", "meta": {"rate": math.nan}}, "invalid_number: meta.rate is not a number"),
        ({"raw": "x", "meta": {"rate": math.inf}}, "out_of_range: meta.rate"),
        ({"raw": "x", "meta": {"n": 2**63}}, "out_of_range: meta.n is an integer outside"),
        ({"raw": "x", "meta": {"n": 10**5000}}, "out_of_range: meta.n is an integer outside"),
        ({"raw": "x", "meta": nested(100)}, "too_deep: is nested deeper than 64 levels"),
        ({"raw": "x", "meta": nested(100_000)}, "too_deep: is nested deeper than 64 levels"),
        ({"raw": "x", "meta": {"circle": circle()}}, "too_deep: contains itself"),
        ({"raw": "x" * 300_000}, "too_large: has"),
        ({"raw": "x", "idempotency_key": "k" * 9_000}, "too_long: idempotency_key has more than 512 bytes"),
        ({"raw": "x", "failure_match_id": "5"}, "invalid_uuid: failure_match_id"),
        (None, "missing_field: failure_payload is missing"),
        ([], "object_expected: a failure is a mapping"),
        ("x", "object_expected: a failure is a mapping"),
        (5, "object_expected: a failure is a mapping"),
        ({}, "missing_field: failure_payload is missing"),
        ({"raw": "  "}, "missing_field: error_type is missing"),
        ({"error_type": 5}, "invalid_type: error_type is no string"),
        ({"raw": "x", "enqueue_evaluation": 1}, "invalid_type: enqueue_evaluation is neither true nor false"),
        ({"failure_payload": {"raw": "x"}, "sourc": "y"}, "unknown_field: 'sourc' is unknown; did you mean source?"),
        ({"raw": "x", "meta": {str(n): n for n in range(10_000)}}, "too_many_keys: meta has 10000 keys"),
        ({"raw": "x", "meta": {"k" * 1_000_000: 1}}, "too_long: meta["),
        ({"raw": "x", "meta": {"when": object()}}, "invalid_type: meta.when is a object, which JSON does not have"),
        ({"raw": "x", "meta": {5: 1}}, "is a key that is no string"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_bad_input_is_named_before_anything_is_sent(failure: Any, problem: str) -> None:
    client = RecoveryClient("http://127.0.0.1:9", spool=None)
    with pytest.raises(Refused) as refused:
        client.ingest(failure)
    assert problem in str(refused.value)
    assert len(str(refused.value)) < 5_000
    client.close()


def test_uuids_may_be_given_as_such() -> None:
    key = uuid4()
    [line] = next(reporting([{"raw": "x", "idempotency_key": key}], "test"))
    assert json.loads(line)["idempotency_key"] == str(key)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"url": "127.0.0.1:8710"}, "url"),
        ({"url": "ftp://host"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://host:99999"}, "url"),
        ({"url": "http://user:s3cret@host"}, "url"),
        ({"url": "http://host", "token": "two\nlines"}, "token"),
        ({"url": "postgresql://m10_app:s3cret@host/db", "token": "x"}, "token"),
        ({"url": "http://host", "source": " "}, "source"),
        ({"url": "http://host", "source": "x" * 101}, "source"),
    ],
)
def test_a_client_that_cannot_work_is_not_made_and_no_secret_is_repeated(options: Any, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected|^token: a database") as refused:
        RecoveryClient(**options, spool=None)
    assert "s3cret" not in str(refused.value)


def test_importing_the_client_brings_no_server_and_no_http_library_with_it() -> None:
    code = "import sys; from m10actors.client import RecoveryClient; RecoveryClient('http://h', spool=None); "
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"fastapi", "starlette", "uvicorn", "pykka", "redis", "psycopg", "typer", "rich", "pydantic", "httpx"}
    assert heavy & set(done.stdout.split()) == set()
