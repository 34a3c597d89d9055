"""The real process, killed and starved of its stores under load: short, seeded slices of `make chaos`."""

from pathlib import Path

import pytest

from m10actors.testing import account, chaos
from m10actors.testing.campaign import REDIS_FAULTS, Campaign, Feeder, Stage, run
from m10actors.testing.waiting import eventually

pytestmark = pytest.mark.timeout(240)

SOON = {"intake.sweep_after": "2s"}
"""So that hints that were lost with the process are found within the test's time."""


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_done_twice_when_the_process_is_killed_at_random_moments(tmp_path: Path, seed: int) -> None:
    result = run(tmp_path, Campaign(seed, ["kill_process"] * 6, most=1200, pause=0.02, settings=SOON))
    assert result.sound, result


def test_nothing_is_lost_or_done_twice_when_redis_is_killed_flushed_and_restarted_empty(tmp_path: Path) -> None:
    faults = ["kill_valkey", "flush_valkey", "restart_valkey_empty", "kill_process", "flush_valkey"]
    result = run(tmp_path, Campaign(3, faults, most=1200, pause=0.02, settings=SOON))
    assert result.sound, result


def test_nothing_is_lost_or_done_twice_when_postgres_is_restarted_and_killed(tmp_path: Path) -> None:
    faults = ["restart_postgres", "kill_postgres", "restart_postgres", "kill_process"]
    result = run(tmp_path, Campaign(4, faults, most=1200, pause=0.02, settings=SOON))
    assert result.sound, result


def test_nothing_is_lost_or_done_twice_by_three_processes_whatever_redis_does(tmp_path: Path) -> None:
    campaign = Campaign(6, sorted(REDIS_FAULTS), pairs=0.2, engines=3, proxied=True, settings=chaos.SOON)
    result = run(tmp_path, campaign)
    assert result.sound, result


def test_without_faults_no_key_arrives_twice(tmp_path: Path) -> None:
    result = run(tmp_path, Campaign(5, [], most=2000, pause=0.0))
    assert result.sound, result
    assert result.received_twice == 0
    assert result.ambiguous == 0


def test_failures_are_taken_while_redis_is_away_and_the_backlog_drains_by_itself_afterwards(tmp_path: Path) -> None:
    # The sweep is out of the way, so that only the fallback queue can carry the work; an evaluator that is off would
    # not.
    with Stage(tmp_path, {"intake.sweep_after": "1h"}) as stage:
        stage.start()
        stage.servers.valkey.stop()
        feeder = Feeder(stage, most=1000)
        feeder.start().join(60)
        assert feeder.done.is_set()
        assert feeder.ambiguous == 0
        eventually(lambda: account.is_settled(stage.ops), within=30)
        stage.servers.valkey.start()
        late = Feeder(stage, most=1500)
        late.start().join(60)
        assert late.done.is_set()
        eventually(lambda: account.is_settled(stage.ops), within=30)
        settled = account.stores(stage.ops)
        assert settled.occurrences == 1500
        assert settled.evaluated_twice == settled.published_twice == settled.dead == 0
        assert account.deliveries(stage.ops, stage.receiver.ledger).sound
        assert stage.stop() == 0
