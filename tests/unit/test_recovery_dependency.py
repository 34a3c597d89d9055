"""The one judge: when a condition changes, and who hears of it."""

import pytest

from m10actors.recovery.dependency import Condition, Dependency, Health, Hysteresis, judge

UP, DOWN, DEGRADED = Condition.UP, Condition.DOWN, Condition.DEGRADED
RULE = Hysteresis(failures=2, successes=1)


@pytest.mark.parametrize(
    ("before", "seen", "conditions"),
    [
        (Health(), [UP], [UP]),
        (Health(), [DOWN], [DOWN]),
        (Health(UP), [DOWN, UP, DOWN, DOWN], [UP, UP, UP, DOWN]),
        (Health(UP), [DEGRADED, DEGRADED, UP], [UP, DEGRADED, UP]),
        (Health(DOWN), [DEGRADED, DOWN, UP], [DEGRADED, DOWN, UP]),
    ],
)
def test_what_is_up_falls_after_two_failures_in_a_row_and_the_rest_changes_at_once(
    before: Health, seen: list[Condition], conditions: list[Condition]
) -> None:
    health, found = before, []
    for now, condition in enumerate(seen):
        health = judge(health, condition, "" if condition is UP else "why", float(now), RULE)
        found.append(health.condition)
    assert found == conditions


def test_who_subscribes_hears_the_present_and_every_change_once() -> None:
    dependency, heard = Dependency("redis"), list[Condition]()
    dependency.subscribe(lambda health: heard.append(health.condition))
    assert heard == []
    dependency.observe(None, 0.0)
    late = list[Condition]()
    dependency.subscribe(lambda health: late.append(health.condition))
    for failure in ("a", "b", "c", None, None):
        dependency.observe(failure, 1.0)
    assert heard == [UP, DOWN, UP]
    assert late == [UP, DOWN, UP]


def test_a_suspicion_is_passed_on_except_of_what_is_known_to_be_down() -> None:
    dependency, looks = Dependency("redis"), list[None]()
    dependency.suspect()
    dependency.watched_by(lambda: looks.append(None))
    dependency.suspect()
    assert len(looks) == 1
    dependency.observe("gone", 0.0)
    dependency.suspect()
    assert len(looks) == 1


def test_what_answers_and_takes_nothing_is_degraded_and_not_down() -> None:
    dependency = Dependency("redis")
    dependency.observe("full", 0.0, answers=True)
    assert dependency.takes_nothing
    assert not dependency.is_down


def test_a_loss_stands_until_the_last_one_is_made_good() -> None:
    dependency, seen = Dependency("redis"), list[bool]()
    for step in (
        lambda: None,
        dependency.lost_state,
        dependency.lost_state,
        lambda: dependency.made_good(1),
        lambda: dependency.made_good(2),
    ):
        step()
        seen.append(dependency.has_lost)
    assert seen == [False, True, True, True, False]
