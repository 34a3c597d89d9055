"""What Redis can do to those who keep a queue in it: deaths, losses, refusals, silences, lost replies."""

import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from m10actors.testing.campaign.stage import Stage
from m10actors.testing.waiting import eventually

STREAM, GROUP = "m10:evaluate:stream", "m10:evaluate:group"

_pause = threading.Event()


# Deaths: what comes back depends on what was on disk.


def kill_valkey_synced(stage: Stage, chance: random.Random) -> None:
    """With every write on disk before its reply."""
    with _admin(stage) as admin:
        admin.config_set("appendfsync", "always")
    _pause.wait(chance.uniform(0, 0.3))
    stage.servers.valkey.kill()
    stage.servers.valkey.start()


def cut_append_only_file(stage: Stage, chance: random.Random) -> None:
    """As after a power loss: the last writes are not there, half of one is."""
    stage.servers.valkey.kill()
    for file in _append_only_dir(stage).glob("*.incr.aof"):
        os.truncate(file, max(0, file.stat().st_size - chance.randint(1, 20_000)))
    stage.servers.valkey.start()


def restore_old_copy(stage: Stage, chance: random.Random) -> None:
    """What was acknowledged since is pending again, what was added since is gone."""
    folder = _append_only_dir(stage)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    _pause.wait(chance.uniform(0.1, 1))
    stage.servers.valkey.kill()
    shutil.rmtree(folder)
    copy.rename(folder)
    stage.servers.valkey.start()


# Losses


def flush_valkey(stage: Stage, _chance: random.Random) -> None:
    with _admin(stage) as admin:
        admin.flushall()


def delete_stream(stage: Stage, _chance: random.Random) -> None:
    with _admin(stage) as admin:
        admin.delete(STREAM)


def destroy_group(stage: Stage, _chance: random.Random) -> None:
    with _admin(stage) as admin, suppress(redis.ResponseError):
        admin.xgroup_destroy(STREAM, GROUP)


def delete_pending(stage: Stage, _chance: random.Random) -> None:
    """The entries go, their ids stay in the pending entries list."""
    with _admin(stage) as admin, suppress(redis.ResponseError):
        if pending := admin.xpending_range(STREAM, GROUP, "-", "+", 1000):
            admin.xdel(STREAM, *(each["message_id"] for each in pending))


def delete_consumers(stage: Stage, _chance: random.Random) -> None:
    """Their pending entries go with them."""
    with _admin(stage) as admin, suppress(redis.ResponseError):
        for each in admin.xinfo_consumers(STREAM, GROUP):
            admin.xgroup_delconsumer(STREAM, GROUP, each["name"])


def trim_everything(stage: Stage, _chance: random.Random) -> None:
    with _admin(stage) as admin:
        admin.xtrim(STREAM, maxlen=0, approximate=False)


# Refusals


def out_of_memory(stage: Stage, chance: random.Random) -> None:
    _configured(stage, chance, "maxmemory", "1", "0")


def no_replicas(stage: Stage, chance: random.Random) -> None:
    _configured(stage, chance, "min-replicas-to-write", "1", "0")


def no_password(stage: Stage, chance: random.Random) -> None:
    """A password that nobody was told of, and all have to log in again."""
    with _admin(stage) as admin:
        admin.config_set("requirepass", "rotated")
        try:
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal")
            _pause.wait(chance.uniform(0.2, 1))
        finally:
            admin.config_set("requirepass", "")


def too_many_clients(stage: Stage, chance: random.Random) -> None:
    with _admin(stage) as admin:
        before = admin.config_get("maxclients")["maxclients"]
        admin.config_set("maxclients", 2)
        try:
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal")
            _pause.wait(chance.uniform(0.2, 1))
        finally:
            admin.config_set("maxclients", before)


def read_only(stage: Stage, chance: random.Random) -> None:
    """Demoted: its primary is nowhere."""
    with _admin(stage) as admin:
        admin.replicaof("127.0.0.1", "1")
        try:
            _pause.wait(chance.uniform(0.2, 1))
        finally:
            admin.replicaof("NO", "ONE")


def misconf(stage: Stage, chance: random.Random) -> None:
    """It cannot save: something lies where the snapshot belongs."""
    in_the_way = stage.servers.valkey.folder / "dump.rdb"
    (in_the_way / "full").mkdir(parents=True)
    with _admin(stage) as admin:
        try:
            admin.config_set("save", "3600 1")
            admin.bgsave()
            eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
            _pause.wait(chance.uniform(0.2, 1))
        finally:
            admin.config_set("save", "")
            shutil.rmtree(in_the_way)


# Silences


def freeze_valkey(stage: Stage, chance: random.Random) -> None:
    pid = stage.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    _pause.wait(chance.uniform(0.2, 3))
    os.kill(pid, signal.SIGCONT)


def pause_clients(stage: Stage, chance: random.Random) -> None:
    seconds = chance.uniform(0.2, 2)
    with _admin(stage) as admin:
        admin.client_pause(int(seconds * 1000), all=chance.random() < 0.5)
    _pause.wait(seconds)


def flap(stage: Stage, chance: random.Random) -> None:
    """Away for 300 ms of every 500 ms."""
    with _admin(stage) as admin:
        for _ in range(chance.randint(4, 10)):
            admin.client_pause(300, all=True)
            _pause.wait(0.5)


# The way there


def kill_clients(stage: Stage, chance: random.Random) -> None:
    with _admin(stage) as admin:
        for _ in range(chance.randint(1, 5)):
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal")
            _pause.wait(chance.uniform(0, 0.2))


def swallow_replies(stage: Stage, chance: random.Random) -> None:
    """Commands are carried out, and nobody hears of it: the maker of duplicates."""
    assert stage.redis_proxy is not None
    stage.redis_proxy.swallow_replies()
    _pause.wait(chance.uniform(0.1, 1))
    stage.redis_proxy.clean()


def black_hole(stage: Stage, chance: random.Random) -> None:
    assert stage.redis_proxy is not None
    stage.redis_proxy.dark()
    _pause.wait(chance.uniform(0.2, 2))
    stage.redis_proxy.clean()


def refuse_connections(stage: Stage, chance: random.Random) -> None:
    assert stage.redis_proxy is not None
    stage.redis_proxy.refuse()
    stage.redis_proxy.cut()
    _pause.wait(chance.uniform(0.2, 2))
    stage.redis_proxy.clean()


ALL = (
    kill_valkey_synced, cut_append_only_file, restore_old_copy, flush_valkey, delete_stream, destroy_group,
    delete_pending, delete_consumers, trim_everything, out_of_memory, no_replicas, no_password, too_many_clients,
    read_only, misconf, freeze_valkey, pause_clients, flap, kill_clients, swallow_replies, black_hole,
    refuse_connections,
)  # fmt: skip


@contextmanager
def _admin(stage: Stage) -> Iterator[Any]:
    """A connection of the harness' own, past the proxy, that stays open while it is used."""
    url = f"unix://{quote(str(stage.servers.valkey.socket))}"
    with redis.Redis.from_url(url, single_connection_client=True, decode_responses=True) as client:
        yield client


def _configured(stage: Stage, chance: random.Random, name: str, broken: str, healthy: str) -> None:
    with _admin(stage) as admin:
        admin.config_set(name, broken)
        try:
            _pause.wait(chance.uniform(0.2, 1))
        finally:
            admin.config_set(name, healthy)


def _append_only_dir(stage: Stage) -> Path:
    return stage.servers.valkey.folder / "appendonlydir"
