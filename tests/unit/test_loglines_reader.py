"""Lines of a log become failures, with the lines that belong to them."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from m10actors.lines import Line, LineFormat, OneTimeKeys, Rejected, Reported, read
from m10actors.loglines.failure_lines import MAX_JOINED_BYTES, MAX_JOINED_LINES
from m10actors.loglines.journal import JournalLines
from m10actors.loglines.levels import FAILURE_LEVELS
from m10actors.loglines.pattern import InvalidPattern, Pattern
from m10actors.loglines.reader import LogLines
from m10actors.raw_lines import MAX_LINE_BYTES
from m10actors.recovery.file_keys import FileKeys

LOGHUB = Path(__file__).parents[3] / "shared" / "data" / "loghub"
INFO = "2024-01-01 12:00:00,000 INFO [main] x.Y: fine\n"
ERROR = "2024-01-01 12:00:01,000 ERROR [main] x.Y: it broke\n"

PYTHON = """\
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise app.Refused("no") from None
app.Refused: no
"""
JAVA = """\
java.lang.IllegalStateException: cannot start
\tat x.Y.start(Y.java:10)
\tat x.Main.main(Main.java:5)
Caused by: java.io.IOException: closed
\tat x.Z.read(Z.java:1)
\t... 2 more
Caused by: java.net.ConnectException: refused
\t... 3 more
"""


def lines_of(content: str | bytes, form: LineFormat | None = None) -> list[Line]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read(io.BytesIO(raw), form or LogLines("file"), FileKeys("host", "/file")))


def failures_of(content: str | bytes, form: LineFormat | None = None) -> list[Reported]:
    found = lines_of(content, form)
    assert all(isinstance(line, Reported) for line in found), found
    return [line for line in found if isinstance(line, Reported)]


def meta(line: Reported) -> dict[str, Any]:
    found = line.failure.payload["meta"]
    assert isinstance(found, dict)
    return found


def test_lines_of_the_chosen_levels_are_failures() -> None:
    content = "".join(f"2024-01-01 12:00:00 {level} it broke\n" for level in (*FAILURE_LEVELS, "INFO", "DEBUG"))
    assert [meta(line)["level"] for line in failures_of(content)] == list(FAILURE_LEVELS)
    assert [meta(line)["level"] for line in failures_of(content, LogLines("file", ["error", "Info"]))] == [
        "ERROR",
        "INFO",
    ]


@pytest.mark.parametrize("levels", [[""], [], ["ER ROR"], ["ERROR", "1"]])
def test_what_can_be_no_level_is_told(levels: list[str]) -> None:
    with pytest.raises(ValueError, match="levels with commas"):
        LogLines("file", levels)


def test_a_python_traceback_belongs_to_the_failure_before_it_and_its_last_line_names_it() -> None:
    first, second = failures_of(ERROR + PYTHON + ERROR)
    assert (first.failure.error_code, first.failure.error_message) == ("Refused", "it broke")
    assert (meta(first)["exception"], meta(first)["root_cause"]) == ("app.Refused", "KeyError")
    assert meta(first)["stack"] + "\n" == PYTHON
    assert second.failure.error_code == "UNKNOWN"


def test_a_java_trace_belongs_to_the_failure_before_it_and_its_header_names_it() -> None:
    (line,) = failures_of(ERROR + JAVA + INFO)
    assert (line.failure.error_code, line.lines) == ("IllegalStateException", 9)
    assert meta(line)["root_cause"] == "java.net.ConnectException"
    assert meta(line)["logger"] == "x.Y"


def test_an_uncaught_exception_is_a_failure_by_itself() -> None:
    (python,) = failures_of(INFO + PYTHON)
    assert (python.failure.error_code, python.failure.error_message) == ("Refused", "app.Refused: no")
    (java,) = failures_of(INFO + 'Exception in thread "main" ' + JAVA)
    assert java.failure.error_code == "IllegalStateException"
    assert len(failures_of(JAVA)) == 1


def test_a_trace_under_a_line_that_is_no_failure_is_none() -> None:
    form = LogLines("file")
    assert failures_of(INFO + JAVA, form) == []
    assert form.tally.ignored == 9


def test_words_decide_where_lines_name_no_level() -> None:
    form = LogLines("file")
    syslog = "Jun 14 15:16:01 combo sshd[1]: {}\n"
    content = syslog.format("session opened") + syslog.format("authentication failure") + syslog.format("0 errors")
    (line,) = failures_of(content, form)
    assert (line.failure.error_message, form.tally.by_words) == ("authentication failure", 1)
    assert failures_of("link up\nlink down, no error\n") == []
    assert len(failures_of("link up\nlink error on node-1\n")) == 1


def test_words_of_a_line_without_a_level_count_only_while_levels_are_rare() -> None:
    assert failures_of(INFO * 5 + "printed: a failure\n") == []
    assert len(failures_of("printed: a failure\n" * 20 + INFO)) == 20


def test_what_belongs_to_a_failure_is_bounded_and_what_is_too_much_is_ignored() -> None:
    for more in ("  x\n" * (MAX_JOINED_LINES + 50), ("  " + "y" * 1000 + "\n") * 100):
        form = LogLines("file")
        (line,) = failures_of(ERROR + more + INFO, form)
        assert line.lines <= MAX_JOINED_LINES + 1
        assert len(meta(line)["stack"].encode()) <= MAX_JOINED_BYTES
        assert form.tally.lines == 1 + form.tally.joined + form.tally.ignored


def test_a_failure_however_it_is_written_is_small_enough_to_be_stored() -> None:
    control = "\x01" * (MAX_LINE_BYTES - 100)
    assert len(failures_of(f"2024-01-01 12:00:00 ERROR {control}\n" + f"  {control}\n" * 3)) == 1


@pytest.mark.parametrize(
    ("bad", "code"),
    [(b"\xff\xfe", "invalid_unicode"), (b"a\x00b", "invalid_text"), (b"x" * (MAX_LINE_BYTES + 1), "too_large")],
)
def test_a_line_that_is_no_text_is_rejected_and_the_failure_around_it_goes_on(bad: bytes, code: str) -> None:
    rejected, failure = lines_of(ERROR.encode() + bad + b"\n  more\n")
    assert isinstance(rejected, Rejected)
    assert (rejected.number, [problem.code for problem in rejected.problems]) == (2, [code])
    assert isinstance(failure, Reported)
    assert (failure.number, failure.lines) == (1, 2)


def test_windows_ends_of_lines_and_a_mark_of_byte_order_do_not_count() -> None:
    unix = failures_of(ERROR + PYTHON)
    assert [line.item for line in failures_of(b"\xef\xbb\xbf" + (ERROR + PYTHON).replace("\n", "\r\n").encode())] == [
        line.item for line in unix
    ]


def test_the_key_of_a_failure_is_that_of_its_first_line() -> None:
    keys = FileKeys("host", "/file")
    expected = [str(keys.next_key(line)) for line in (INFO + ERROR + "  more\n" + ERROR).encode().splitlines()]
    assert [line.item["idempotency_key"] for line in failures_of(INFO + ERROR + "  more\n" + ERROR)] == [
        expected[1],
        expected[3],
    ]


def test_a_pattern_takes_the_place_of_the_recogniser() -> None:
    pattern = Pattern(r"(?P<time>\S+) (?P<source>\w+)!(?P<level>\w+)! (?P<message>.*)")
    content = "t1 billing!bad! it broke\n  more\nt2 billing!good! fine\nERROR: not matched\n"
    (line,) = failures_of(content, LogLines("file", ["bad"], pattern))
    assert (line.failure.source, line.failure.error_message, meta(line)["time"]) == ("billing", "it broke", "t1")
    assert meta(line)["stack"] == "  more"


def test_with_a_pattern_without_a_level_whatever_matches_is_a_failure() -> None:
    found = failures_of("job 5 ended with 7\nother\n", LogLines("file", recognise=Pattern(r"job \d+ (?P<message>.*)")))
    assert [line.failure.error_message for line in found] == ["ended with 7"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("(", "missing )"),
        (r"(?P<level>a)\1", "invalid escape"),
        (r"(?=x)(?P<level>a)", "invalid perl operator"),
        ("(?P<lvl>.*)", "the group lvl has no meaning, expected some of level, message"),
        ("ERROR", "no named group"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_told(expression: str, words: str) -> None:
    with pytest.raises(InvalidPattern, match=words.replace("(", r"\(").replace(")", r"\)")):
        Pattern(expression)


def test_a_pattern_does_not_run_away() -> None:
    assert Pattern(r"(?P<level>(a+)+)$")("a" * 5000 + "b") is None


def entry(**fields: object) -> str:
    return json.dumps({"PRIORITY": "3", "MESSAGE": "it broke", "__CURSOR": "s=1;i=2", **fields}) + "\n"


def test_an_entry_of_the_journal_is_a_failure_by_its_priority_and_has_its_cursor_as_key() -> None:
    content = entry(_SYSTEMD_UNIT="nginx.service", __REALTIME_TIMESTAMP="1700000000000000") + entry(PRIORITY="6")
    (line,) = failures_of(content, JournalLines("journal"))
    assert (line.failure.source, line.item["idempotency_key"]) == ("nginx.service", "s=1;i=2")
    assert meta(line) == {"level": "ERR", "time": "2023-11-14T22:13:20+00:00"}


def test_a_message_of_the_journal_may_be_bytes_or_have_several_lines() -> None:
    octets = list(b"caf\xe9 \x00 timed out")
    first, second = failures_of(entry(MESSAGE=octets) + entry(MESSAGE="died\n" + JAVA), JournalLines("journal"))
    assert (first.failure.error_message, first.failure.error_code) == (r"caf\xe9 \x00 timed out", "TIMED_OUT")
    assert (second.failure.error_message, second.failure.error_code) == ("died", "IllegalStateException")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("no json\n", "invalid_json"),
        ("[]\n", "object_expected"),
        (entry(PRIORITY="9"), "out_of_range"),
        (entry(MESSAGE=None), "missing_field"),
        (entry(MESSAGE={"a": 1}), "invalid_type"),
        (entry(MESSAGE=[1, 300]), "invalid_type"),
        (entry(MESSAGE="\x00"), "invalid_text"),
    ],
)
def test_what_is_no_entry_of_the_journal_is_rejected(line: str, code: str) -> None:
    (found,) = lines_of(line, JournalLines("journal"))
    assert isinstance(found, Rejected)
    assert [problem.code for problem in found.problems] == [code]


@pytest.mark.needs("data:loghub")
@pytest.mark.parametrize("name", ["Hadoop", "OpenStack", "Zookeeper"])
def test_the_failures_of_a_published_log_are_those_of_its_labels(name: str) -> None:
    labels = (LOGHUB / f"{name}_2k.log_structured.csv").read_text()
    expected = sum(f",{level}," in line for line in labels.splitlines() for level in FAILURE_LEVELS)
    with (LOGHUB / f"{name}_2k.log").open("rb") as stream:
        form = LogLines("file")
        found = list(read(stream, form, OneTimeKeys()))
    assert len(found) == expected > 0
    assert form.tally.lines == len(found) + form.tally.ignored == 2000
