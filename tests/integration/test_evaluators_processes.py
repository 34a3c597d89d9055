"""Leased evaluators in processes of their own: one that is paused past its lease, one that a payload kills, one that
is reloaded, one that cannot start.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from m10actors.postgres.errors import StoreError
from m10actors.testing import account
from m10actors.testing.campaign.stage import Engine, Stage
from m10actors.testing.waiting import eventually

EVALUATOR = '''
import os, pathlib, signal, time
from m10actors.evaluators import Proposal

FOLDER = pathlib.Path(__file__).parent


class Slow:
    """Waits while the file `waits` is there, and says in which process it was asked."""

    def __init__(self, threshold=0.5):
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold: expected 0 to 1, got {threshold}")

    def evaluate(self, batch):
        for facts in batch:
            if facts.candidate.error_code == "ODD_POISON":
                os.kill(os.getpid(), signal.SIGKILL)
        with (FOLDER / "asked").open("a") as log:
            log.write("".join(f"{os.getpid()} {facts.candidate.id}\\n" for facts in batch))
        while (FOLDER / "waits").exists():
            time.sleep(0.01)
        return [
            Proposal(facts.candidate.id, "retry_exponential", 0.9, f"process {os.getpid()}") for facts in batch
        ]
'''

SETTINGS: dict[str, object] = {
    "decisions.evaluators": ["rules", "slow"],
    "decisions.evaluator_timeout": "500ms",
    "evaluators.slow.use": "slow_evaluator:Slow",
    "evaluators.slow.leased": True,
    "evaluators.slow.retries": 1,
    "evaluators.slow.timeout": "60s",
    "intake.evaluation_lease": "1s",
    "outbox.lock_ttl": "3s",
    "tree.evaluator_dispatcher.poll": "50ms",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the evaluator."""
    made = tmp_path_factory.mktemp("evaluator")
    (made / "slow_evaluator.py").write_text(EVALUATOR)
    return made


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, Stage(tmp_path_factory.mktemp("stage"), SETTINGS) as stage:
        patch.setenv("PYTHONPATH", str(folder))
        yield stage


@pytest.fixture
def stage(shared_stage: Stage, folder: Path) -> Iterator[Stage]:
    (folder / "asked").write_text("")
    yield shared_stage
    (folder / "waits").unlink(missing_ok=True)
    shared_stage.kill()


@pytest.fixture
def another(stage: Stage) -> Iterator[Engine]:
    """A second process, with a run folder of its own."""
    made = Engine(stage.folder, ".2", stage._engine_settings())
    yield made
    made.kill()


def post(stage: Stage, name: str, *codes: str) -> None:
    items: list[dict[str, object]] = [
        {"failure_payload": {"error_type": code, "raw": "odd"}, "source": f"{name}-{number}"}
        for number, code in enumerate(codes)
    ]
    stage.post(items)


def rows(stage: Stage, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(stage.urls["ops"]) as connection:
        return connection.execute(query).fetchall()


def settled(stage: Stage) -> bool:
    with suppress(StoreError):
        return account.is_settled(stage.ops)
    return False


def asked(folder: Path) -> list[int]:
    """The processes in which it was asked, in order."""
    return [int(line.split()[0]) for line in (folder / "asked").read_text().splitlines()]


def decided_in(stage: Stage) -> list[int]:
    """The process of each decision, oldest first."""
    found = rows(stage, "SELECT rules_evaluated -> 0 ->> 'because' FROM public.recovery_candidates ORDER BY id")
    return [int(str(because).removeprefix("process ")) for (because,) in found]


def pid(engine: Engine) -> int:
    assert engine.process is not None
    return engine.process.pid


def test_a_process_that_was_paused_past_its_lease_comes_too_late(stage: Stage, another: Engine, folder: Path) -> None:
    """The other one takes its work over and decides it; what the first one then says changes nothing."""
    [first] = stage.engines
    (folder / "waits").touch()
    stage.start()
    post(stage, "paused", "ODD_THING")
    eventually(lambda: asked(folder) == [pid(first)])
    os.kill(pid(first), signal.SIGSTOP)
    another.start()
    eventually(lambda: asked(folder)[1:] == [pid(another)], within=20)
    (folder / "waits").unlink()
    eventually(lambda: settled(stage), within=20)
    assert decided_in(stage) == [pid(another)]
    os.kill(pid(first), signal.SIGCONT)
    assert stage.stop() == 0  # it had the time to say what it knew
    assert decided_in(stage) == [pid(another)]
    stores = account.stores(stage.ops)
    assert (stores.delivered, stores.dead, stores.evaluated_twice, stores.published_twice) == (1, 0, 0, 0)
    assert account.deliveries(stage.ops, stage.receiver.ledger).sound


def test_a_payload_that_kills_the_process_in_the_evaluator_is_given_up_and_those_beside_it_are_decided(
    stage: Stage,
) -> None:
    [engine] = stage.engines
    before = account.stores(stage.ops)
    engine.start()
    post(stage, "poison", *["ODD_THING"] * 5, "ODD_POISON", *["ODD_THING"] * 5)
    deaths = 0
    while eventually(lambda: settled(stage) or _has_died(engine), within=30):
        if not _has_died(engine):
            break
        deaths += 1
        assert deaths <= 3
        with suppress(RuntimeError):  # it died before it had told its address
            engine.start()
    after = account.stores(stage.ops)
    assert (after.delivered - before.delivered, after.dead - before.dead) == (10, 1)
    assert deaths == 2
    [(reason,)] = rows(stage, "SELECT reason FROM m10_recovery.dead_letter_archive")
    assert reason == "too_many_attempts"


def _has_died(engine: Engine) -> bool:
    return engine.process is None or engine.process.poll() is not None


def test_a_reload_with_an_evaluator_that_cannot_be_leaves_the_old_one_at_work(stage: Stage) -> None:
    [engine] = stage.engines
    sound = engine.config.read_text()
    engine.start()
    try:
        engine.config.write_text(sound + "evaluators.slow.options = { threshold = 7 }\n")
        os.kill(pid(engine), signal.SIGHUP)
        refused = "evaluators.slow.options: ValueError: threshold: expected 0 to 1, got 7"
        eventually(lambda: refused in engine.log_tail())
        before = account.stores(stage.ops).delivered
        post(stage, "refused", "ODD_THING")
        eventually(lambda: account.stores(stage.ops).delivered == before + 1)
        engine.config.write_text(sound + 'actions.notify_ops.template = { a = "b" }\n')
        os.kill(pid(engine), signal.SIGHUP)
        eventually(lambda: "reloaded" in engine.log_tail())
    finally:
        engine.config.write_text(sound)


def test_an_evaluator_that_cannot_be_is_an_error_at_start(stage: Stage) -> None:
    [engine] = stage.engines
    sound = engine.config.read_text()
    try:
        engine.config.write_text(sound.replace("slow_evaluator:Slow", "slow_evaluator:Missing"))
        with pytest.raises(RuntimeError, match="m10 run ended with 2") as caught:
            engine.start()
        assert "evaluators.slow: slow_evaluator:Missing cannot be loaded: AttributeError" in str(caught.value)
    finally:
        engine.config.write_text(sound)
