"""What is configured of people and caps reaches those who keep it."""

from datetime import timedelta

import pytest

from m10actors.application.live import Rulings
from m10actors.config import ConfigError, load
from m10actors.postgres.verdicts import Terms
from m10actors.recovery.quiet_hours import QuietHours


def rulings(**settings: object) -> Rulings:
    given = {key.replace("__", "."): value for key, value in settings.items()}
    return Rulings.of(load(None, {}, given).settings)


def test_caps_quiet_hours_and_terms_reach_the_rulings() -> None:
    made = rulings(
        autonomy__per_candidate=1,
        autonomy__per_source=2,
        autonomy__per_action=3,
        autonomy__per_hour=4,
        autonomy__quiet_hours=["Mon-Fri 22:00-07:00"],
        autonomy__time_zone="Europe/Berlin",
        approvals__expires="30m",
        approvals__own=False,
    )
    limits = {"candidate": 1, "source": 2, "action": 3, "total": 4}
    assert made.rules.limits == limits
    assert made.rules.policy.quiet_hours == QuietHours.parse(["Mon-Fri 22:00-07:00"], "Europe/Berlin")
    assert made.terms == Terms(timedelta(minutes=30), own=False)
    assert made.sql_settings["autonomy"] == {
        "auto_execute": False,
        "four_eyes": [],
        "limits": limits,
        "quiet": [{"days": [0, 1, 2, 3, 4], "begin": 22 * 60, "end": 7 * 60}],
        "zone": "Europe/Berlin",
    }


@pytest.mark.parametrize(
    ("everywhere", "here", "needed"),
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
)
def test_four_eyes_is_said_for_all_actions_or_for_one(everywhere: bool, here: bool | None, needed: bool) -> None:
    own = {} if here is None else {"actions__notify_ops__four_eyes": here}
    made = rulings(approvals__four_eyes=everywhere, actions__notify_ops__event="notify:ops", **own)
    assert made.rules.routes["notify_ops"]["four_eyes"] is needed
    assert made.sql_settings["autonomy"]["four_eyes"] == (["notify_ops"] if needed else [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("autonomy.quiet_hours", ["22-7"]),
        ("autonomy.quiet_hours", ["Funday 10:00-11:00"]),
        ("autonomy.time_zone", "Mars/Olympus"),
        ("autonomy.per_hour", 0),
        ("autonomy.per_source", "many"),
        ("approvals.expires", "1s"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, {key: value})
    assert [problem.key.startswith(key) for problem in caught.value.problems] == [True]
