"""The life of a process: its end by signals, its reload, what the service manager hears of it."""

import ctypes
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from life_kit import Engine

from m10actors.embedded import EmbeddedServers
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

ROOT = Path(__file__).parents[2]
ACTION = """
[destinations.there]
url = "https://receiver.example.com/x"
[actions.retry_exponential]
event = "webhook:recovery"
destination = "there"
"""

STARTED = """
import gc, sys
from pathlib import Path
from m10actors import collector, config
from m10actors.application import Application
application = Application(config.load(Path(sys.argv[1]), {}, {}))
application.start(on_drain=print, on_give_up=print)
print(gc.isenabled(), gc.get_freeze_count() > 50_000, gc.get_threshold()[0] == collector.YOUNG)
application.stop()
"""


@pytest.fixture
def engine(tmp_path: Path, database: MigratedDatabase, redis_url: str) -> Iterator[Engine]:
    made = Engine(tmp_path, database, redis_url)
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_process_ends_with_0(engine: Engine, number: signal.Signals) -> None:
    engine.start()
    assert engine.end(number) == 0
    assert engine.events("draining")[0]["reason"] == number.name
    assert engine.events("stopped")[0]["abandoned_threads"] == 0
    assert list((engine.folder / "run" / "instances").iterdir()) == []


def test_what_was_loaded_is_looked_through_by_no_collection(engine: Engine) -> None:
    engine.write()
    ran = subprocess.run(
        [sys.executable, "-c", STARTED, str(engine.config)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "True True True"


def test_a_signal_that_another_thread_is_given_is_heard_as_well(engine: Engine) -> None:
    process = engine.start()
    threads = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
    other = next(thread for thread in threads if thread != process.pid)
    assert ctypes.CDLL(None).tgkill(process.pid, other, signal.SIGTERM) == 0
    assert process.wait(15) == 0


def test_a_thread_that_is_stuck_holds_up_the_end_no_longer_than_the_grace_period(engine: Engine) -> None:
    engine.settings |= {"process.grace": "1s", "tree.outbox_leader.shutdown": "1m"}
    process = engine.start(M10_FAILPOINTS="leader.before_release:delay:600000")
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert "outbox_leader" in {event["id"] for event in engine.events("child_abandoned")}


def test_a_second_signal_cuts_the_drain_short(engine: Engine) -> None:
    engine.settings |= {"process.grace": "10m", "tree.outbox_leader.shutdown": "10m"}
    process = engine.start(M10_FAILPOINTS="leader.before_release:delay:600000")
    process.send_signal(signal.SIGTERM)
    eventually(lambda: engine.events("draining"))
    assert process.poll() is None
    assert engine.end(signal.SIGTERM) == 0
    assert engine.events("drain_cut_short")


def test_a_signal_before_anything_has_begun_ends_it_as_well(engine: Engine) -> None:
    process = engine.launch()
    eventually(lambda: hears(process.pid), every=0.001)
    assert engine.end() == 0


def hears(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture
def behind(servers: EmbeddedServers, engine: Engine) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    """The proxies between the engine and its stores."""
    addresses = servers.start()
    with FaultProxy(addresses.socket_dir / ".s.PGSQL.5432") as postgres, FaultProxy(addresses.valkey_socket) as redis:
        (host, port), (redis_host, redis_port) = postgres.address, redis.address  # type: ignore[misc]
        name = engine.database.name
        engine.settings["redis.url"] = f"redis://{redis_host}:{redis_port}/0"
        for key, role in {"url": "app", "ops_url": "ops", "metrics_url": "metrics"}.items():
            engine.settings[f"database.{key}"] = f"postgresql://m10_{role}@{host}:{port}/{name}"
        yield postgres, redis


def test_a_signal_while_it_waits_for_postgresql_at_its_start_ends_it_with_0(
    engine: Engine, behind: tuple[FaultProxy, FaultProxy]
) -> None:
    for proxy in behind:
        proxy.dark()
    process = engine.launch()
    eventually(lambda: behind[0].accepted, every=0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_a_signal_when_both_stores_have_gone_dark_ends_it_with_0_and_leaves_no_thread(
    engine: Engine, behind: tuple[FaultProxy, FaultProxy]
) -> None:
    engine.settings |= {"database.connect_timeout": "1s", "redis.command_timeout": "100ms", "process.grace": "20s"}
    process = engine.start()
    for proxy in behind:
        proxy.dark()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert engine.events("drain_overran") == []
    assert engine.events("stopped")[0]["abandoned_threads"] == 0


def test_every_stack_is_printed_under_its_child_id_and_the_process_goes_on(engine: Engine) -> None:
    process = engine.start()
    process.send_signal(signal.SIGUSR1)
    eventually(lambda: "outbox_leader (thread" in engine.log.read_text())
    assert "MainThread (thread" in engine.log.read_text()
    assert engine.end() == 0


def test_a_reload_applies_what_it_can_and_says_what_needs_a_restart(engine: Engine) -> None:
    process = engine.start()
    engine.write(ACTION, decisions__auto_execute=True, outbox__max_retries=2, process__log_level="debug",
                 database__pool_size=12, intake__claim_workers=3)  # fmt: skip
    process.send_signal(signal.SIGHUP)
    [done] = eventually(lambda: engine.events("reloaded"))
    applied = done["applied"].split(", ")
    assert set(applied) == {
        "destinations.there", "actions.retry_exponential", "decisions.auto_execute", "outbox.max_retries",
        "process.log_level",
    }  # fmt: skip
    [left] = engine.events("reload_needs_restart")
    assert left["keys"] == "database.pool_size, intake.claim_workers"
    settings = engine.database.connect("ops").execute("SELECT max_retries FROM m10_recovery.settings").fetchone()
    assert settings == (2,)
    process.send_signal(signal.SIGHUP)
    again = eventually(lambda: engine.events("reloaded")[1:])
    assert again[0]["applied"] == "nothing"
    assert engine.events("reload_needs_restart")[1]["keys"] == left["keys"]
    assert engine.end() == 0


def test_a_reload_of_a_file_with_mistakes_names_each_and_changes_nothing(engine: Engine) -> None:
    process = engine.start()
    engine.write(outbox__max_retries=-1, intake__claim_workers="many", process__log_level="debug")
    process.send_signal(signal.SIGHUP)
    problems = eventually(lambda: len(found := engine.events("reload_refused")) == 2 and found)
    wrong = {problem["problem"].partition(":")[0] for problem in problems or ()}
    assert wrong == {"intake.claim_workers", "outbox.max_retries"}
    assert engine.events("reloaded") == []
    assert engine.end() == 0


def test_the_service_manager_hears_ready_reloading_stopping_and_signs_of_progress(engine: Engine) -> None:
    process = engine.start(**engine.listen(watchdog=0.4))
    assert "STATUS=" in engine.hear("READY=1")
    for _ in range(3):
        engine.hear("WATCHDOG=1")
    process.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in engine.hear("RELOADING=1")
    engine.hear("READY=1")
    process.send_signal(signal.SIGTERM)
    assert "draining: SIGTERM" in engine.hear("STOPPING=1")
    assert process.wait(20) == 0


def test_a_tree_that_stands_still_gets_no_more_signs_of_progress(engine: Engine) -> None:
    # Paused, the leader never comes back from its end, and its supervisor waits for it.
    engine.settings |= {"tree.outbox_leader.shutdown": "10m"}
    engine.start(M10_FAILPOINTS="leader.before_release:delay:600000", **engine.listen(watchdog=1.5))
    engine.hear("WATCHDOG=1")
    engine.ask("/ops/pause", {"parts": ["delivery"], "reason": "a test"})
    [stuck, *_] = eventually(lambda: engine.events("tree_stuck"), within=40)
    assert "leadership" in stuck["supervisors"]
    assert engine.ear is not None
    eventually(lambda: silent_for(engine, 2.0), within=40)


def silent_for(engine: Engine, seconds: float) -> bool:
    assert engine.ear is not None
    engine.ear.settimeout(seconds)
    try:
        engine.hear("WATCHDOG=1")
    except TimeoutError:
        return True
    return False


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "m10.service"
    shutil.copy(ROOT / "config" / "systemd" / "m10.service", unit)
    unit.write_text(unit.read_text().replace("/usr/local/bin/m10", sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
