"""`m10 review` at a terminal: real keys, a real database."""

import os
import re
import select
import signal
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from cli_kit import COMMAND, M10
from schema_kit import Lab

from m10actors.cli.listing import operator
from m10actors.testing.database import MigratedDatabase

CONFIG = """
[destinations.receiver]
url = "https://receiver.example/hook"
[actions.retry_exponential]
event = "webhook:recovery"
destination = "receiver"
"""
QUESTION = "q quit: "


class Terminal:
    """`m10 review` on a terminal of its own. What it draws is read in order."""

    def __init__(self, m10: M10, database: MigratedDatabase, *words: str) -> None:
        self._ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (50, 160))
        environ = m10.environ(TERM="xterm", DATABASE_URL=database.url("app"))
        self.process = subprocess.Popen(
            [*COMMAND, "review", "-c", str(m10.folder / "m10.toml"), *words],
            cwd=m10.folder,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._unread = ""

    def shows(self, text: str) -> str:
        """Everything up to `text`, which has to come."""
        while text not in self._unread:
            ready, _, _ = select.select([self._ours], [], [], 15)
            with suppress(OSError):
                if ready and (more := os.read(self._ours, 65536).decode(errors="replace")):
                    self._unread += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", more)
                    continue
            raise AssertionError(f"{text!r} never came, but {self._unread!r}")
        seen, _, self._unread = self._unread.partition(text)
        return seen + text

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        try:
            return self.process.wait(30)
        finally:
            os.close(self._ours)


@pytest.fixture
def m10(tmp_path: Path) -> M10:
    (tmp_path / "m10.toml").write_text(CONFIG)
    return M10(tmp_path)


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def three(lab: Lab) -> list[int]:
    """What waits, in the order in which it is asked about."""
    found = [lab.open() for _ in range(3)]
    for candidate_id in found:
        lab.evaluate(candidate_id)
    return found


def test_one_after_another_is_shown_and_decided(m10: M10, lab: Lab, three: list[int]) -> None:
    done = lab.open()
    lab.evaluate(done)
    lab.approve(done)
    lab.deliver("dead", error="no")
    terminal = Terminal(m10, lab.database)
    shown = terminal.shows(QUESTION)
    for part in (f"candidate {three[0]}", "too slow", "TIMEOUT", "did_not_help", "retry_exponential", "Retry it."):
        assert part in shown
    terminal.press("a")
    terminal.shows("note")
    terminal.press("looks fine\n")
    terminal.shows(f"candidate {three[0]}: approved")
    assert lab.row(three[0]).review_note == "looks fine"
    terminal.shows(QUESTION)
    terminal.press("xs")
    assert f"candidate {three[2]}" in terminal.shows(QUESTION)
    terminal.press("r")
    terminal.shows("note")
    terminal.press("\n")
    end = terminal.shows("1 approved, 1 rejected, 1 skipped, 0 refused")
    assert "nothing else waits" in end
    assert "\\n" not in end
    assert terminal.end() == 0
    rows = [lab.row(each) for each in three]
    assert [row.decision for row in rows] == ["approved", "pending", "rejected"]
    assert [row.approved_by_human for row in rows] == [operator(), None, operator()]


def test_a_verdict_that_somebody_else_gave_meanwhile_is_told_and_the_note_is_not_lost(
    m10: M10, lab: Lab, three: list[int]
) -> None:
    terminal = Terminal(m10, lab.database)
    terminal.shows(QUESTION)
    lab.reject(three[0])
    lab.reject(three[1])
    terminal.press("a")
    terminal.shows("note")
    terminal.press("go on\n")
    terminal.shows("the candidate has its verdict already")
    terminal.shows("your note was not kept: go on")
    terminal.shows(f"candidate {three[1]}: it has its verdict meanwhile: rejected by ann")
    terminal.shows(QUESTION)
    terminal.press("q")
    terminal.shows("0 approved, 0 rejected, 0 skipped, 1 refused")
    assert terminal.end() == 0


def test_what_was_evaluated_again_meanwhile_is_shown_again(m10: M10, lab: Lab, three: list[int]) -> None:
    terminal = Terminal(m10, lab.database, "--newest")
    assert f"candidate {three[2]}" in terminal.shows(QUESTION)
    lab.repeat(three[2], times=4)
    lab.evaluate(three[2])
    terminal.press("a")
    terminal.shows("note")
    terminal.press("\n")
    terminal.shows("was evaluated again since")
    assert f"candidate {three[2]}" in terminal.shows(QUESTION)
    terminal.press("a")
    terminal.shows("note")
    terminal.press("\n")
    terminal.shows(f"candidate {three[2]}: approved")
    terminal.shows(QUESTION)
    terminal.press("\x04")
    terminal.shows("1 approved, 0 rejected, 0 skipped, 1 refused")
    assert terminal.end() == 0


def test_ctrl_c_ends_it_and_what_was_decided_stays(m10: M10, lab: Lab, three: list[int]) -> None:
    terminal = Terminal(m10, lab.database)
    terminal.shows(QUESTION)
    terminal.press("r")
    terminal.shows("note")
    terminal.press("\n")
    terminal.shows(f"candidate {three[0]}: rejected")
    terminal.shows(QUESTION)
    terminal.process.send_signal(signal.SIGINT)
    terminal.shows("0 approved, 1 rejected")
    assert terminal.end() == 130
    assert [lab.row(each).decision for each in three] == ["rejected", "pending", "pending"]


def test_without_a_terminal_it_says_what_to_do_instead(m10: M10, database: MigratedDatabase) -> None:
    ran = m10("review", DATABASE_URL=database.url("app"))
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"m10 candidates list --pending" in ran.stderr
