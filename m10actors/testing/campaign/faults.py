"""Faults by name: each breaks something, for a while that chance decides, and returns when it is healed."""

import random
import shutil
import threading
from collections.abc import Callable

from m10actors.testing.campaign import redis_faults
from m10actors.testing.campaign.stage import Stage

Fault = Callable[[Stage, random.Random], None]

_pause = threading.Event()


def kill_process(stage: Stage, chance: random.Random) -> None:
    engine = chance.choice(stage.engines)
    engine.kill()
    engine.start()


def kill_valkey(stage: Stage, chance: random.Random) -> None:
    stage.servers.valkey.kill()
    _pause.wait(chance.uniform(0, 1))
    stage.servers.valkey.start()


def restart_valkey_empty(stage: Stage, chance: random.Random) -> None:
    """As a server without persistence does."""
    stage.servers.valkey.kill()
    shutil.rmtree(stage.servers.valkey.folder / "appendonlydir", ignore_errors=True)
    _pause.wait(chance.uniform(0, 1))
    stage.servers.valkey.start()


def restart_postgres(stage: Stage, chance: random.Random) -> None:
    stage.servers.postgres.stop("immediate" if chance.random() < 0.5 else "fast")
    _pause.wait(chance.uniform(0, 1))
    stage.servers.postgres.start()


def kill_postgres(stage: Stage, chance: random.Random) -> None:
    stage.servers.postgres.kill()
    _pause.wait(chance.uniform(0, 1))
    stage.servers.postgres.start()


def _by_name(*faults: Fault) -> dict[str, Fault]:
    return {fault.__name__: fault for fault in faults}


FAULTS = _by_name(
    kill_process, kill_valkey, restart_valkey_empty, redis_faults.flush_valkey, restart_postgres, kill_postgres
)
"""A bit of everything."""

REDIS_FAULTS = _by_name(kill_valkey, restart_valkey_empty, *redis_faults.ALL)
"""Whatever Redis can do to the queue. They need a stage with a proxy before Valkey."""

ALL_FAULTS = FAULTS | REDIS_FAULTS
