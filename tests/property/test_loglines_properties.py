"""Whatever the bytes and however they are cut: nothing raises, nothing is lost, and the same failures come out."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from m10actors.lines import Line, LineFormat, Reported, read
from m10actors.loglines.journal import JournalLines
from m10actors.loglines.reader import LogLines
from m10actors.loglines.shapes import Shapes
from m10actors.raw_lines import Splitter
from m10actors.recovery.file_keys import FileKeys

PIECES = (
    b"2024-01-01 12:00:00 ERROR x.Y: it broke",
    b"2024-01-01 12:00:00 INFO fine",
    b"Jun 14 15:16:01 combo sshd[1]: failed",
    b"Traceback (most recent call last):",
    b'  File "a.py", line 1',
    b"ValueError: x",
    b"java.io.IOException: x",
    b"\tat x.Y(Y.java:1)",
    b"Caused by: java.net.ConnectException",
    b"goroutine 1 [running]:",
    b"main.fail(0x1)",
    b"x.rb:3:in `f': x (Gone)",
    b"thread 'main' panicked at x.rs:3:5:",
    b"PHP Fatal error:  Uncaught Gone: x",
    b"#0 x.php(5): Shop\\Error::f()",
    b"ERROR: x",
    b'{"level": "error", "msg": "x"}',
    b"plain error",
    b"",
    b"\xff",
    b"a\x00b",
)
logs = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=30).map(b"\n".join)
cuts = st.lists(st.integers(0, 1200), max_size=10)


class Cut:
    """The bytes in the given pieces."""

    def __init__(self, content: bytes, at: Sequence[int]) -> None:
        bounds = [0, *sorted(min(cut, len(content)) for cut in at), len(content)]
        self._chunks = [content[start:end] for start, end in pairwise(bounds) if start < end]

    def read1(self, _size: int, /) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


def found(content: bytes, form: LineFormat, at: Sequence[int] = ()) -> list[Line]:
    return list(read(Cut(content, at), form, FileKeys("host", "/file")))


@given(logs, cuts)
def test_the_same_failures_come_out_however_the_input_is_cut(content: bytes, at: list[int]) -> None:
    assert found(content, LogLines("file")) == found(content, LogLines("file"), at)


@given(logs)
def test_every_line_is_in_exactly_one_place(content: bytes) -> None:
    form = LogLines("file")
    lines = found(content, form)
    assert form.tally.lines == len(content.split(b"\n")) - content.endswith(b"\n") - (not content)
    assert form.tally.lines == len(lines) + form.tally.joined + form.tally.ignored
    assert sum(line.lines - 1 for line in lines if isinstance(line, Reported)) == form.tally.joined


@given(st.binary(max_size=2000))
def test_no_bytes_raise(content: bytes) -> None:
    for form in (LogLines("file"), JournalLines("file")):
        found(content, form)


@given(st.text(max_size=500))
def test_no_text_raises(text: str) -> None:
    Shapes()(text)


@given(logs, st.integers(0, 40))
def test_a_reader_that_remembers_goes_on_as_if_it_had_never_stopped(content: bytes, stop: int) -> None:
    form, keys, got = LogLines("file"), FileKeys("host", "/file"), list[Line]()
    for number, line in enumerate(Splitter().feed(content + b"\n"), start=1):
        got += form.feed(number, line, keys.next_key(line.identity))
        if number >= stop and form.open_since is None:
            successor = LogLines("file")
            successor.recall(form.remember())
            form = successor
    assert got + list(form.end()) == found(content + b"\n", LogLines("file"))
