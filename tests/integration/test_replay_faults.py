"""Replays while PostgreSQL goes away, and while a purge runs beside them."""

import json
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pipeline_kit
import pytest
from pipeline_kit import World, running
from schema_kit import Lab, in_background

from m10actors.instance import new_worker_id
from m10actors.ops.replay import LOCK, TTL, Pace, Progress, Replayer
from m10actors.postgres import locks, purges, replays
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.replays import Run
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 60
SOON: dict[str, Any] = {
    "intake__poll_interval": "30ms",
    "intake__sweep_after": "100ms",
    "outbox__poll_interval": "50ms",
}
ALL = LetterFilter(state="waiting")
ONCE_MORE = """
SELECT (SELECT count(*) FROM recovery_candidates WHERE (generation, evaluated_generation) = (2, 2)),
       (SELECT count(*) FROM m10_recovery.outbox WHERE aggregate_type = 'thing' AND processed_at IS NOT NULL),
       (SELECT count(*) FROM m10_recovery.replay_log WHERE replayed_at IS NOT NULL)
"""


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def test_postgres_away_in_the_middle_of_a_replay_is_waited_for_and_each_is_replayed_once(
    world: World, lab: Lab
) -> None:
    """The server dies with steps of the replay, of the evaluations and of the deliveries under way."""
    for _ in range(COUNT // 2):
        lab.bury(lab.open())
        lab.publish(str(uuid4()), payload=json.dumps({"webhook_url": world.receiver.url, "data": 1}))
    lab.deliver("dead", error="http_400")
    lab.sql.execute("DELETE FROM m10_recovery.distributed_locks")
    begun = replays.begin(world.ops, ALL, 3, 0.1, "local:op", "repaired")
    assert begun is not None
    told: list[Progress] = []
    with running(world, **SOON) as engine:
        never, pace = threading.Event(), Pace(30, timedelta(minutes=1))
        player = Replayer(world.ops, engine.parts.hints, begun, new_worker_id(), "local:op", pace, told.append)
        ending = in_background(lambda: player.play(never.is_set, never.wait))
        eventually(lambda: told and told[-1].tally.replayed > 5)
        world.servers.postgres.kill()
        eventually(lambda: told[-1].weather is not None)
        world.servers.postgres.start()
        ended: Run = ending.result(60)
        assert (ended.state, replays.tally(world.ops, ended.id).well) == ("done", COUNT)
        assert world.sql(ONCE_MORE) == [(COUNT // 2, COUNT // 2, COUNT)]
        assert world.receiver.ledger.keys() == world.receiver.ledger.taken()


def test_a_purge_passes_over_what_a_replay_has_in_hand(lab: Lab) -> None:
    """The replay has the third and waits for the fourth; the second comes last. The purge began with the second, and
    waited for the third.
    """
    numbers = []
    for reason in ("a", "a", "b", "c"):
        lab.bury(lab.open())
        numbers.append(lab.value("SELECT max(id) FROM m10_recovery.dead_letter_archive"))
        lab.sql.execute(
            "UPDATE m10_recovery.dead_letter_archive SET fingerprint = %s WHERE id = %s", [reason, numbers[-1]]
        )
    store = lab.database.pool("ops")
    run = replays.begin(store, ALL, 3, 0.1, "local:op", "repaired")
    epoch = locks.acquire(store, LOCK, "me", TTL)
    assert run is not None
    assert epoch is not None
    with lab.database.connect("superuser").transaction() as held:
        held.connection.execute("SELECT FROM m10_recovery.dead_letter_archive WHERE id = %s FOR UPDATE", [numbers[3]])
        replaying = in_background(lambda: replays.replay_items(store, run.id, "me", epoch, "local:op", 10))
        lab.until_somebody_waits()
        assert purges.purge(store, LetterFilter(ids=(numbers[1], numbers[2])), "local:op", "old") == 1
    assert sorted(str(each.refused) for each in replaying.result(20)) == ["None"] * 4
