"""The receiver answers as it is told, and its ledger remembers what came, across the death of its process."""

import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from m10actors.testing.ledger import Account, Ledger, Receipt, compare
from m10actors.testing.receiver import Answer, Receiver, Request
from m10actors.testing.waiting import eventually


def post(url: str, key: str | None = "k1", body: bytes = b"{}", **headers: str) -> HTTPResponse:
    connection = HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=20)
    keyed = {"Idempotency-Key": key} if key else {}
    connection.request(
        "POST", "/", body, {**keyed, **{name.replace("_", "-"): value for name, value in headers.items()}}
    )
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def post_in_vain(url: str) -> None:
    with pytest.raises(ConnectionError):
        post(url)


def receipt(key: str | None, body: str = "b", status: int = 200) -> Receipt:
    return Receipt(key, body, status, at=1.0, token=None)


def test_every_request_is_entered_before_it_is_answered() -> None:
    told: list[tuple[Request, int, int]] = []
    with Receiver(on_delivery=lambda request, taken: told.append((request, taken, receiver.ledger.total))) as receiver:
        assert post(receiver.url, "k1", b"[1]", m10_fencing_token="7").status == 200
        assert post(receiver.url, "k1", b"[2]").status == 200
        assert post(receiver.url, None).status == 200
    assert [(request.number, request.key, request.token, taken, total) for request, taken, total in told] == [
        (1, "k1", 7, 1, 1),
        (2, "k1", None, 2, 2),
        (3, None, None, 0, 3),
    ]
    assert receiver.ledger.keys() == receiver.ledger.repeated() == receiver.ledger.changed() == {"k1"}
    assert receiver.ledger.without_key == 1


def test_a_request_that_was_not_taken_is_known_but_not_received() -> None:
    with Receiver(answer=lambda request: Answer(503 if request.number == 1 else 201)) as receiver:
        assert post(receiver.url).status == 503
        assert receiver.ledger.keys() == {"k1"}
        assert not receiver.ledger.taken()
        assert post(receiver.url).status == 201
        assert receiver.ledger.taken() == {"k1"}
        assert not receiver.ledger.repeated()


def test_answers_can_be_slow_dripped_dropped_or_missing() -> None:
    answer = Answer(418, {"X-A": "b"}, b"body", delay=0.01, drip=0.0001)
    with Receiver(answer=lambda _: answer) as receiver:
        response = post(receiver.url)
        assert (response.status, response.headers["x-a"]) == (418, "b")
        receiver.answer = lambda _: Answer(drop=True)
        with pytest.raises(ConnectionError):
            post(receiver.url)
        receiver.answer = lambda _: Answer(never=True)
        waiting = threading.Thread(target=post_in_vain, args=(receiver.url,))
        waiting.start()
        eventually(lambda: receiver.ledger.total == 3)
        assert waiting.is_alive()
    waiting.join()


def test_it_listens_on_loopback_only_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    receiver = Receiver()
    with receiver:
        port = int(receiver.url[:-1].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            eventually(lambda: threading.active_count() == before + 2)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port))
    eventually(lambda: threading.active_count() == before)
    url = receiver.start()
    assert url == f"http://127.0.0.1:{port}/"
    assert post(url).status == 200
    receiver.stop()
    receiver.stop()


def test_a_body_without_a_length_or_too_long_is_refused() -> None:
    with Receiver() as receiver:
        assert post(receiver.url, Content_Length="99999999999", body=b"").status == 413
        assert post(receiver.url, Transfer_Encoding="chunked", body=b"").status == 411
        assert receiver.ledger.total == 0


def test_a_ledger_continues_where_a_killed_process_left_it(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from m10actors.testing.ledger import Ledger, Receipt
ledger = Ledger(Path(sys.argv[1]))
for n in range(100):
    ledger.record(Receipt(f"k{n % 90}", "b", 200, 1.0, 3))
os.kill(os.getpid(), signal.SIGKILL)
"""
    file = tmp_path / "ledger"
    subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    with file.open("ab") as torn:
        torn.write(b'{"key": "half')
    for total in (101, 102):
        with Ledger(file) as ledger:
            ledger.record(receipt("k0"))
            assert (ledger.total, len(ledger.keys()), len(ledger.repeated())) == (total, 90, 10)


def test_a_ledger_and_an_outbox_that_agree() -> None:
    ledger = Ledger()
    for key in ("a", "b", "b", "dead"):
        ledger.record(receipt(key))
    ledger.record(receipt("dead", status=500))
    account = compare(ledger, [("a", True, False), ("b", True, False), ("open", False, False), ("dead", False, True)])
    assert account.sound
    assert account.received_twice == ("b",)


def test_a_ledger_and_an_outbox_that_do_not() -> None:
    ledger = Ledger()
    for entry in (
        receipt("moved", status=302),
        receipt("phantom"),
        receipt("a", "1"),
        receipt("a", "2"),
        receipt(None),
    ):
        ledger.record(entry)
    events = [("moved", True, False), ("lost", True, False), ("a", True, False)]
    assert compare(ledger, events) == Account(
        never_received=("lost", "moved"),
        phantoms=("phantom",),
        changed=("a",),
        received_twice=("a",),
        without_key=1,
    )
    assert not compare(ledger, events).sound
