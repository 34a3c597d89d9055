"""The helper for receivers: what it lets through, and once."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.delivery.signing import signature_headers
from m10actors.receiver import Delivery, Receiver, Running, SqliteStore

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"action": "retry"}'


def headers(
    number: int = 1, epoch: int = 1, *, secret: str = NEW, body: bytes = BODY, age: float = 0
) -> dict[str, str]:
    sent_at = datetime.now(UTC) - timedelta(seconds=age)
    return {**signature_headers([secret], UUID(int=number), body, sent_at), "m10-fencing-token": str(epoch)}


class Effects:
    """What was carried out."""

    def __init__(self) -> None:
        self.seen: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.seen.append(delivery)


@pytest.fixture
def effects() -> Effects:
    return Effects()


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver([NEW, OLD], SqliteStore(tmp_path / "store.db"))


def test_an_event_is_carried_out_once_however_often_it_comes(receiver: Receiver, effects: Effects) -> None:
    assert [receiver.take(headers(), BODY, effects).status for _ in range(3)] == [200] * 3
    [delivery] = effects.seen
    assert (delivery.event_id, delivery.epoch, delivery.json()) == (str(UUID(int=1)), 1, {"action": "retry"})


def test_an_older_epoch_is_refused_for_new_events_and_for_known_ones(receiver: Receiver, effects: Effects) -> None:
    receiver.take(headers(1, epoch=7), BODY, effects)
    assert receiver.take(headers(2, epoch=6), BODY, effects).status == 412
    assert receiver.take(headers(1, epoch=6), BODY, effects).status == 412
    assert receiver.take(headers(2, epoch=8), BODY, effects).status == 200
    assert [each.epoch for each in effects.seen] == [7, 8]


def test_what_it_knows_survives_a_restart(tmp_path: Path, effects: Effects) -> None:
    for epoch in (2, 2, 1):
        Receiver([NEW], SqliteStore(tmp_path / "store.db")).take(headers(1, epoch), BODY, effects)
    assert len(effects.seen) == 1


def test_either_secret_of_a_rotation_is_enough(receiver: Receiver, effects: Effects) -> None:
    assert receiver.take(headers(1, secret=OLD), BODY, effects).status == 200
    assert receiver.take(headers(2, secret=NEW), BODY, effects).status == 200


SIGNED = headers()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-signature": "v2," + SIGNED["webhook-signature"][3:]},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "1"},
        {"webhook-id": str(UUID(int=2))},
    ],
)
def test_what_is_not_signed_is_refused(receiver: Receiver, effects: Effects, given: Mapping[str, str]) -> None:
    wrong = {**headers(), **given} if given else {}
    assert receiver.take(wrong, BODY, effects).status == 401
    assert not effects.seen


@pytest.mark.parametrize("body", [b"", BODY + b" ", b"\xff\xfe", b"{"])
def test_another_body_than_the_one_that_was_signed_is_refused(
    receiver: Receiver, effects: Effects, body: bytes
) -> None:
    assert receiver.take(headers(), body, effects).status == 401


def test_a_request_that_was_recorded_is_refused_later(receiver: Receiver, effects: Effects) -> None:
    assert receiver.take(headers(age=600), BODY, effects).status == 401


def test_a_body_need_not_be_json(receiver: Receiver, effects: Effects) -> None:
    assert receiver.take(headers(body=b"plain"), b"plain", effects).status == 200
    with pytest.raises(ValueError, match="Expecting value"):
        effects.seen[0].json()


@pytest.mark.parametrize("token", [None, "", "-1", "1.5", "x", "9" * 19, "²"])
def test_without_a_proper_fencing_token_nothing_is_carried_out(
    receiver: Receiver, effects: Effects, token: str | None
) -> None:
    given = headers()
    del given["m10-fencing-token"]
    assert (
        receiver.take(given | ({"m10-fencing-token": token} if token is not None else {}), BODY, effects).status == 428
    )
    assert not effects.seen


def test_an_event_that_could_not_be_carried_out_comes_again(receiver: Receiver, effects: Effects) -> None:
    def fails(_: Delivery) -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        receiver.take(headers(), BODY, fails)
    assert receiver.take(headers(), BODY, effects).status == 200
    assert len(effects.seen) == 1


def test_an_event_that_is_being_carried_out_is_not_begun_again(receiver: Receiver, effects: Effects) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: Delivery) -> None:
        begun.set()
        go_on.wait(20)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(receiver.take, headers(), BODY, slow)
        begun.wait(20)
        assert receiver.take(headers(), BODY, effects).status == 409
        go_on.set()
        assert first.result().status == 200
    assert receiver.take(headers(), BODY, effects).status == 200
    assert not effects.seen


def test_an_event_whose_process_died_is_carried_out_again_after_its_time(tmp_path: Path, effects: Effects) -> None:
    now = 1000.0
    store = SqliteStore(tmp_path / "store.db", clock=lambda: now)
    store.begin(str(UUID(int=1)), 1, "first", 60)
    receiver = Receiver([NEW], store, busy_seconds=60)
    assert receiver.take(headers(), BODY, effects).status == 409
    now += 61
    assert receiver.take(headers(), BODY, effects).status == 200


def test_one_that_was_slower_than_its_time_and_failed_leaves_its_successor_alone(tmp_path: Path) -> None:
    now = 1000.0
    store = SqliteStore(tmp_path / "store.db", clock=lambda: now)
    store.begin("a", 1, "slow", 60)
    now += 61
    assert store.begin("a", 1, "successor", 60) == "new"
    store.abandon("a", "slow")
    assert store.begin("a", 1, "third", 60) == "busy"
    store.abandon("a", "successor")
    assert store.begin("a", 1, "third", 60) == "new"


def test_a_file_of_before_attempts_were_told_apart_is_still_good(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE event (id TEXT PRIMARY KEY, state TEXT NOT NULL, at REAL NOT NULL)")
        connection.execute("INSERT INTO event VALUES ('a', 'done', 1000.0)")
    connection.close()
    store = SqliteStore(tmp_path / "store.db", clock=lambda: 1000.0)
    assert store.begin("a", 1, "1", 60) == "done"
    assert store.begin("b", 1, "1", 60) == "new"


def test_what_is_still_running_is_answered_so_on_every_attempt(receiver: Receiver) -> None:
    answers = [receiver.take(headers(), BODY, lambda _: Running()) for _ in range(2)]
    assert [json.loads(answer.body) for answer in answers] == [{"status": "running"}] * 2


def test_events_are_forgotten_after_their_time_and_the_epoch_never(tmp_path: Path) -> None:
    now = 1000.0
    store = SqliteStore(tmp_path / "store.db", keep=timedelta(seconds=60), clock=lambda: now)
    store.begin("a", 5, "1", 30)
    store.finish("a", running=False)
    now += 61
    assert store.begin("b", 4, "2", 30) == "old_epoch"
    assert store.begin("b", 5, "3", 30) == "new"
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("SELECT id FROM event").fetchall() == [("b",)]
    connection.close()


def test_of_many_threads_one_carries_an_event_out(receiver: Receiver, effects: Effects) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: receiver.take(headers(n % 4), BODY, effects).status, range(32)))
    assert set(statuses) <= {200, 409}
    assert len(effects.seen) == 4


@given(value=st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()))
def test_no_header_is_an_error_of_the_receiver(value: dict[str, str]) -> None:
    receiver = Receiver([NEW], None)  # type: ignore[arg-type]
    assert receiver.take(value, BODY, lambda _: None).status == 401


@pytest.mark.parametrize("secrets", [[], NEW])
def test_a_receiver_needs_a_list_of_secrets(secrets: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a list"):
        Receiver(secrets, SqliteStore(tmp_path / "store.db"))  # type: ignore[arg-type]


def test_the_helper_brings_nothing_of_the_engine_along() -> None:
    code = "import sys, m10actors.receiver; print(*sorted(m for m in sys.modules if m.startswith('m10actors')))"
    code += "; print({'pydantic', 'psycopg', 'redis', 'httpx', 'fastapi', 'prometheus_client'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        "m10actors m10actors.receiver m10actors.receiver.receiver m10actors.receiver.store "
        "m10actors.recovery m10actors.recovery.batch",
        "set()",
    ]
