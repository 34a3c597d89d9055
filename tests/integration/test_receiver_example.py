"""The example of a receiver runs as it stands, behind deliveries of the engine."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from delivery_kit import deliverer, destination, event

from m10actors.delivery import Delivered, ReceiverAhead, Retry

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAYLOAD = b'{"data": {"action": "retry_exponential", "failure": {"code": "TIMEOUT"}}}'


@contextmanager
def receiver(store: Path, said: Path) -> Iterator[str]:
    """The url of the example, in a process of its own that dies at the end as it may die anywhere."""
    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", "uvicorn", "receiver_fastapi:app", "--fd", str(listener.fileno())]
    with said.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--app-dir", str(EXAMPLES), "--log-level", "warning"],
            env=os.environ | {"RECOVERY_SECRET": SECRET, "RECOVERY_STORE": str(store)},
            stdout=output,
            pass_fds=[listener.fileno()],
        )
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/recovery"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        listener.close()


def test_each_event_is_carried_out_once_and_an_older_epoch_is_refused_over_a_crash(tmp_path: Path) -> None:
    store, said = tmp_path / "store.db", tmp_path / "said"
    with receiver(store, said) as url, deliverer(destination(url, secrets=(OTHER, SECRET))) as to:
        for number in (1, 2, 2):
            assert to.deliver(event(number, PAYLOAD), epoch=5) == Delivered(200, running=False, excerpt="")
    with receiver(store, said) as url, deliverer(destination(url, secrets=(SECRET,))) as to:
        assert isinstance(to.deliver(event(1, PAYLOAD), epoch=5), Delivered)
        assert to.deliver(event(3, PAYLOAD), epoch=4) == ReceiverAhead(412, "")
        assert isinstance(to.deliver(event(3, PAYLOAD), epoch=6), Delivered)
    assert said.read_text().splitlines() == ["retry_exponential for TIMEOUT"] * 3


def test_a_secret_that_the_receiver_does_not_know_spends_an_attempt_and_no_event(tmp_path: Path) -> None:
    with (
        receiver(tmp_path / "store.db", tmp_path / "said") as url,
        deliverer(destination(url, secrets=(OTHER,))) as to,
    ):
        assert to.deliver(event(1, PAYLOAD), epoch=1) == Retry("http_401", counted=True, status=401)
