"""What the settings of a destination become, and what a reload keeps."""

from m10actors import config
from m10actors.application.live import Live
from m10actors.config import Settings
from m10actors.delivery import Limits
from m10actors.delivery.breaker import Thresholds


def settings(*names: str, **more: object) -> Settings:
    given: dict[str, object] = {f"destinations.{name}.url": f"https://{name}.example/" for name in names}
    return config.load(None, {}, given | {key.replace("__", "."): value for key, value in more.items()}).settings


def limits(of: Settings) -> dict[str, int]:
    return {each.name: each.concurrency_limit for each in Live(of).destinations()}


def test_a_single_destination_may_have_all_workers_and_one_of_several_half_of_them() -> None:
    assert limits(settings("a")) == {"a": 10}
    assert limits(settings("a", "b", outbox__max_concurrent_http=5)) == {"a": 3, "b": 3}
    assert limits(settings("a", "b", destinations__a__concurrency=8)) == {"a": 8, "b": 5}
    assert limits(settings("a", destinations__a__concurrency=500)) == {"a": 10}


def test_a_reload_changes_the_limits_and_keeps_what_is_known() -> None:
    live = Live(settings("a"))
    with live.gate.through("a", Limits(breaker=Thresholds(failures=1)), 30, is_retry=False):
        live.replace(live.rulings(settings("a", "b", destinations__a__concurrency=2)))
        a, b = live.destinations()
        assert (a.name, a.on_way, a.concurrency, b.on_way) == ("a", 1, 2, 0)
