"""The real process, killed: the next one on its run folder goes on at once, and a payload that kills it is given up.

Every lease is an hour long, so that nothing but the takeover can free what the dead had in hand.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
import redis
from pipeline_kit import NAMES

from m10actors.postgres.errors import StoreError
from m10actors.testing import account
from m10actors.testing.campaign import Engine, Stage
from m10actors.testing.receiver import TAKEN, Answer, Request
from m10actors.testing.waiting import eventually

LEASES = (
    "outbox.lock_ttl",
    "outbox.claim_takeover",
    "intake.claim_idle",
    "intake.evaluation_lease",
    "intake.sweep_after",
)

EVALUATOR = """
import os, pathlib, signal, time
from m10actors import evaluation
decide, waits = evaluation.by_rules, pathlib.Path(__file__).with_name("waits")
def special(facts, *others):
    if facts.code == "POISON":
        os.kill(os.getpid(), signal.SIGKILL)
    while facts.code == "SLOW_TIMEOUT" and waits.exists():
        time.sleep(0.01)
    return decide(facts, *others)
evaluation.by_rules = special
"""
"""Every Python that is started with this as its sitecustomize.py has it."""


@pytest.fixture(scope="module")
def special(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the special evaluator: while `waits` is in it, a SLOW_TIMEOUT waits."""
    folder = tmp_path_factory.mktemp("special")
    (folder / "sitecustomize.py").write_text(EVALUATOR)
    return folder


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory, special: Path) -> Iterator[Stage]:
    settings: dict[str, str] = dict.fromkeys(LEASES, "1h") | {"outbox.renew_every": "1s"}
    with pytest.MonkeyPatch.context() as patch, Stage(tmp_path_factory.mktemp("stage"), settings) as stage:
        patch.setenv("PYTHONPATH", str(special))
        yield stage


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    yield shared_stage
    shared_stage.kill()


def items(name: str, codes: list[str]) -> list[dict[str, object]]:
    return [
        {"failure_payload": {"error_type": code, "raw": "slow"}, "source": f"{name}-{number}"}
        for number, code in enumerate(codes)
    ]


def instances(stage: Stage) -> list[Path]:
    return list((stage.folder / "run" / "instances").glob("*.json"))


def count(stage: Stage, query: str) -> int:
    with psycopg.connect(stage.urls["ops"]) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def has_died(engine: Engine) -> bool:
    return engine.process is None or engine.process.poll() is not None


def settled(stage: Stage) -> bool:
    with suppress(StoreError):
        return account.is_settled(stage.ops)
    return False


def test_what_a_killed_process_had_in_hand_is_taken_over_by_the_next_one_at_once(stage: Stage, special: Path) -> None:
    answering = threading.Event()

    def answer(_request: Request) -> Answer:
        answering.wait(20)
        return TAKEN

    stage.receiver.answer = answer
    stage.start()
    assert stage.post(items("sent", ["TIMEOUT"] * 5))
    in_hand = "SELECT count(*) FROM m10_recovery.outbox WHERE claimed_at IS NOT NULL"
    eventually(lambda: count(stage, in_hand) == 5)
    (special / "waits").touch()
    assert stage.post(items("begun", ["SLOW_TIMEOUT", *["TIMEOUT"] * 5]))
    with redis.Redis.from_url(stage.redis_url) as raw:
        eventually(lambda: raw.xpending(NAMES.stream, NAMES.group)["pending"] > 0)
    stage.kill()
    assert len(instances(stage)) == 1
    (special / "waits").unlink()
    answering.set()
    stage.start()
    eventually(lambda: settled(stage), within=20)
    stores = account.stores(stage.ops)
    assert (stores.delivered, stores.dead, stores.evaluated_twice, stores.published_twice) == (11, 0, 0, 0)
    assert account.deliveries(stage.ops, stage.receiver.ledger).sound
    eventually(lambda: len(instances(stage)) == 1)  # the dead are forgotten
    assert stage.stop() == 0
    assert instances(stage) == []


def readiness(engine: Engine) -> str:
    """What it says of itself: while it does not know its Redis yet, it looks into the tables."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{engine.port}/readyz", timeout=1) as answer:
        return str(json.load(answer)["status"])
    return "silent"


@pytest.mark.parametrize("way", ["stream", "tables"])
def test_a_payload_that_kills_its_process_is_given_up_and_all_around_it_is_done(stage: Stage, way: str) -> None:
    if way == "tables":
        stage.servers.valkey.kill()
    before = account.stores(stage.ops)
    codes = ["TIMEOUT"] * 10 + ["POISON"] + ["TIMEOUT"] * 10
    stage.start()
    [engine] = stage.engines
    eventually(lambda: readiness(engine) == ("ready" if way == "stream" else "degraded"))
    stage.post(items(way, codes))  # the answer may die with the process
    deaths = 0
    while eventually(lambda: settled(stage) or has_died(engine), within=30):
        if settled(stage) and not has_died(engine):
            break
        deaths += 1
        assert deaths <= 5
        with suppress(RuntimeError):  # it died before it had told its address
            engine.start()
    stores = account.stores(stage.ops)
    assert stores.candidates - before.candidates == 21
    assert stores.delivered - before.delivered == 20
    assert stores.dead - before.dead == 1
    assert (stores.evaluated_twice, stores.published_twice) == (0, 0)
    assert account.deliveries(stage.ops, stage.receiver.ledger).sound
    # The first delivery through the group is not counted; whatever is taken from the tables is.
    assert deaths == (4 if way == "stream" else 3)
    assert stage.stop() == 0
    assert json.loads(engine.log_tail(1))["event"] == "stopped"
