"""Keys of `m10 review`, on a terminal of this process."""

import io
import os
import sys
import termios

import pytest

from m10actors.cli import review


def test_keys_are_heard_one_by_one_before_the_question_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a key that is pressed as the question appears, or an end of input, stays with the terminal."""
    ours, theirs = os.openpty()

    def waits_for_lines() -> bool:
        return bool(termios.tcgetattr(theirs)[3] & termios.ICANON)

    waited = list[bool]()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            waited.append(waits_for_lines())
            return super().write(text)

    with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", Screen())
        keyboard.write(b"a")
        assert review._ask() == "approved"
        assert waits_for_lines()
    assert waited == [False, True]
