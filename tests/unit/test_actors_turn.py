"""The events between the leader and its workers: when somebody has to look for what was held."""

import time
from math import inf
from typing import Any, cast

from m10actors.actors.turn import Turn


def test_each_event_that_was_held_is_looked_for_when_it_is_due() -> None:
    turn = Turn(cast(Any, None))
    assert turn.next_due(time.monotonic()) == inf
    before = time.monotonic()
    for seconds in (300.0, 100.0, 200.0):
        turn.held_for(seconds)
    assert 0 < turn.next_due(before) <= 100
    assert 100 < turn.next_due(before + 150) <= 200
    assert 200 < turn.next_due(before + 250) <= 300
    assert turn.next_due(before + 1000) == inf
