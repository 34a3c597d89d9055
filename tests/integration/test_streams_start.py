"""What `m10 run` makes of a Redis that answers and does not let it in: a mistake in the configuration."""

from pathlib import Path

import command_kit
import pytest
import redis
from command_kit import Command
from streams_kit import as_user

from m10actors.testing.database import MigratedDatabase

m10 = command_kit.m10


@pytest.mark.parametrize(
    ("rules", "said"),
    [((">right", "~*", "+@all"), "WRONGPASS"), ((">wr0ng", "~*", "+@all", "-incr"), "incr")],
    ids=["another password", "rights that lack"],
)
def test_a_redis_that_does_not_let_us_in_ends_the_start_with_2(
    m10: Command, database: MigratedDatabase, redis_url: str, tmp_path: Path, rules: tuple[str, ...], said: str
) -> None:
    """T36: one that cannot be reached would be waited for."""
    with redis.Redis.from_url(redis_url) as raw:
        raw.execute_command("ACL", "SETUSER", "guest", "reset", "on", *rules)
        try:
            url = as_user(redis_url, "guest:wr0ng")
            ended = m10("run", DATABASE_URL=database.url("app"), REDIS_URL=url, M10_RUN_DIR=str(tmp_path / "run"))
        finally:
            raw.acl_deluser("guest")
    assert ended.code == 2
    [line] = [line for line in ended.err.splitlines() if line.startswith("m10:")]
    assert said in line or "password" in line
    assert "wr0ng" not in ended.err
    assert list((tmp_path / "run").rglob("*.json")) == []
