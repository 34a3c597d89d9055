"""The words of sd_notify(3), heard at a real socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from m10actors.systemd import ServiceManager


class Ear:
    """The socket of a service manager."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.settimeout(10)
        self.wire.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self) -> list[str]:
        return self.wire.recv(4096).decode().splitlines()


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    path = str(tmp_path / "notify") if request.param == "path" else f"@m10-test-{os.getpid()}"
    heard = Ear(path)
    yield heard
    heard.wire.close()


def test_the_manager_hears_each_step_of_a_life(ear: Ear) -> None:
    manager = ServiceManager(ear.address)
    manager.ready("ready at http://127.0.0.1:8710")
    assert ear.hear() == ["READY=1", "STATUS=ready at http://127.0.0.1:8710"]
    manager.alive()
    assert ear.hear() == ["WATCHDOG=1"]
    manager.reloading()
    began, moment = ear.hear()
    assert began == "RELOADING=1"
    assert int(moment.removeprefix("MONOTONIC_USEC=")) > 0
    manager.stopping("draining: SIGTERM")
    assert ear.hear() == ["STOPPING=1", "STATUS=draining: SIGTERM"]


def test_a_status_is_sent_when_it_changes_and_stays_on_its_line(ear: Ear) -> None:
    manager = ServiceManager(ear.address)
    manager.ready("one")
    ear.hear()
    for status in ("one", "one", "two\nMAINPID=1"):
        manager.status(status)
    assert ear.hear() == ["STATUS=two\\nMAINPID=1"]


def test_nobody_who_listens_and_a_socket_that_is_gone_change_nothing(tmp_path: Path) -> None:
    ServiceManager().ready("ready")
    gone = ServiceManager(str(tmp_path / "gone"))
    gone.ready("ready")
    gone.alive()
    assert (gone.listens, ServiceManager().listens) == (True, False)


@pytest.mark.parametrize(
    ("environ", "listens", "watchdog"),
    [
        ({}, False, None),
        ({"NOTIFY_SOCKET": "/run/x"}, True, None),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "2500000"}, True, 2.5),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, True, 2.5),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, True, None),
        ({"WATCHDOG_USEC": "2500000"}, False, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, True, None),
        ({"NOTIFY_SOCKET": "vsock:2:1"}, False, None),
    ],
)
def test_the_environment_says_who_listens_and_is_not_handed_on(
    environ: dict[str, str], listens: bool, watchdog: float | None
) -> None:
    manager = ServiceManager.from_environment(environ)
    assert (manager.listens, manager.watchdog, environ) == (listens, watchdog, {})
