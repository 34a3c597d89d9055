"""Workers that hang in a call that nobody answers: replaced, cut off, and without effect when the answer comes after
all.
"""

from collections.abc import Sequence
from typing import Any, cast

import pipeline_kit
import pytest
from pipeline_kit import World, in_background, parts_of, running
from supervisor_kit import states
from weather_kit import proxied

from m10actors.evaluation import Evaluation, Work
from m10actors.postgres.errors import StoreUnavailable
from m10actors.postgres.pool import Database, query
from m10actors.supervision import Phase
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
WORKERS = [f"claim_worker.{number}" for number in range(1, 6)]


def test_five_workers_stuck_in_a_black_hole_are_replaced_and_capacity_stays_at_five(world: World) -> None:
    """Where no deadline of a call helps, because it is longer than the patience of the supervisor."""
    with proxied(world) as proxies:
        impatient: dict[str, Any] = {"database__call_timeout": "1h"} | {
            f"tree__{child}__stall_after": "300ms" for child in ("claim_worker", "outbox_leader")
        }
        changed: dict[str, Any] = impatient | {"intake__claim_workers": 5, "intake__poll_interval": "20ms"}
        with running(world, **proxies.settings, **changed) as engine:
            engine.ingest([1])
            world.settled(1)
            with world.database.connect("owner") as owner, owner.transaction():
                owner.execute("LOCK TABLE m10_recovery.work_queue IN ACCESS EXCLUSIVE MODE")
                eventually(lambda: all(engine.doing(name) != "" for name in WORKERS))
                eventually(lambda: waiting(world) >= 5)
                proxies.postgres.forget()
            eventually(lambda: all(states(engine.tree)[name].taken_out for name in WORKERS))
            eventually(lambda: all(states(engine.tree)[name].phase is Phase.RUNNING for name in WORKERS))
            engine.ingest(range(2, 22))
            world.sound(21, twice_allowed=True)
            proxies.postgres.clean()  # what was said in the dark arrives
            assert engine.tree.leaked == ()
            world.sound(21, twice_allowed=True)


def test_the_late_commit_of_a_worker_that_was_given_up_changes_nothing(world: World) -> None:
    """It stood in a statement when its connection went dark; the successor commits first."""
    [candidate] = world.upsert()
    with proxied(world) as proxies:
        parts = parts_of(world, database__url=proxies.url("app"), database__call_timeout="300ms")
        rules = parts.live.rules
        with parts.app, world.database.connect("superuser") as successor:
            with successor.transaction():
                successor.execute("SELECT FROM recovery_candidates FOR UPDATE")
                late: list[Exception] = []
                stuck = in_background(lambda: late.append(evaluate(parts.app, "late", rules, candidate)))
                eventually(lambda: waiting(world) == 1)
                proxies.postgres.forget()
                stuck.join(10)
                assert isinstance(late[0], StoreUnavailable)
                result = Evaluation(cast(Database, InTransaction(successor)), "successor", rules).evaluate(
                    [Work(candidate, 1)], "sweep"
                )
                assert len(result.finished) == 1
            eventually(lambda: waiting(world) == 0)
            assert world.sql("SELECT evaluated_generation FROM recovery_candidates") == [(1,)]
            written = "SELECT actor FROM m10_recovery.suggestion_provenance WHERE suggestion_id = %s"
            assert {actor for (actor,) in world.sql(written, candidate)} == {"another", "successor"}
            assert world.stores().published_twice == world.stores().evaluated_twice == 0


def test_a_first_contact_that_hangs_keeps_nobody_from_judging_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m10actors.application.parts.GREETING_SECONDS", 0.2)
    parts = parts_of(world)
    with parts.app, world.database.connect("superuser").transaction() as holder:
        holder.connection.execute("LOCK TABLE m10_recovery.settings IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="the first contact: no answer"):
            parts.first_contact()


class InTransaction:
    """A database whose calls join the transaction of one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, name: str, parameters: Any = (), *, binary: bool = False) -> Sequence[Any]:
        return cast(Sequence[Any], self._connection.execute(query(name), parameters, binary=binary).fetchall())


def evaluate(database: Database, worker: str, rules: Any, candidate: int) -> Exception:
    """What evaluating raises."""
    try:
        Evaluation(database, worker, rules).evaluate([Work(candidate, 1)], "sweep")
    except StoreUnavailable as error:
        return error
    raise AssertionError("it was answered")


def waiting(world: World) -> int:
    """How many statements wait for a lock."""
    [(count,)] = world.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int(count)
