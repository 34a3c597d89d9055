"""What of a new configuration a running process takes over, and what it does not."""

import pytest

from m10actors import config
from m10actors.config import ConfigError, Settings
from m10actors.config.changes import LIVE, changes, reloaded
from m10actors.config.keys import keys

THERE = {"destinations.there.url": "https://a.example.com/x"}
ACTION = {"actions.skip_task.event": "webhook:recovery", "actions.skip_task.destination": "there"}


def settings(**changed: object) -> Settings:
    flags = {key.replace("__", "."): value for key, value in changed.items()}
    return config.load(None, {"DATABASE_URL": "postgresql://m10_app@localhost/m10"}, flags).settings


def test_what_can_change_is_taken_over_and_what_cannot_is_named() -> None:
    before = settings(outbox__max_retries=5, intake__claim_workers=2)
    wanted = settings(outbox__max_retries=3, intake__claim_workers=3, database__url="postgresql://other@localhost/m10")
    after = reloaded(before, wanted)
    assert changes(before, after) == ("outbox.max_retries",)
    assert changes(after, wanted) == ("database.url", "intake.claim_workers")
    assert (after.outbox.max_retries, after.intake.claim_workers) == (3, 2)
    assert reloaded(after, wanted) == after


def test_named_tables_are_told_apart_by_key_and_stand_as_one_where_they_are_new_or_gone() -> None:
    without, one = settings(), settings(**THERE, **ACTION)
    other = settings(**(THERE | {"destinations.there.url": "https://b.example.com/x"}), **ACTION)
    assert changes(without, one) == ("destinations.there", "actions.skip_task")
    assert changes(one, without) == ("destinations.there", "actions.skip_task")
    assert changes(one, other) == ("destinations.there.url",)
    assert changes(one, one) == ()


def test_a_value_that_does_not_fit_what_keeps_running_is_refused() -> None:
    before = settings(database__pool_size=20, intake__claim_workers=2, process__grace="20s")
    wanted = settings(**THERE, **ACTION)
    assert reloaded(before, wanted).database.pool_size == 20
    broken = wanted.model_copy(update={"destinations": {}})  # an action whose destination is gone
    with pytest.raises(ConfigError, match=r"actions\.skip_task"):
        reloaded(before, broken)


def test_everything_that_can_change_is_a_key() -> None:
    for table, names in LIVE.items():
        assert any(key.startswith(f"{table}.") for key in keys())
        assert {f"{table}.{name}" for name in names} <= set(keys())
