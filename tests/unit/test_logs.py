"""Log lines: one per event, whatever they hold."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors import logs
from m10actors.config.kinds import Secret, SecretUrl

NASTY = 'a\nb\r\x1b[31mred %s {} %(x)s "q" \u2028 \u202e \x9b \x7f \udc80 \\ end\t'
log = logs.logger("m10actors.tests")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("m10actors")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])


def written(
    event: str, *, form: Literal["text", "json"] = "json", level: Literal["debug", "info"] = "info", **fields: object
) -> str:
    """The one line that an event becomes."""
    stream = io.StringIO()
    logs.setup(level, form, stream)
    log.info(event, **fields)
    line, rest = stream.getvalue().split("\n", 1)
    assert rest == ""
    assert line.isprintable()
    return line


def fields_of(event: str, **fields: object) -> dict[str, object]:
    return json.loads(written(event, **fields))


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_payload_of_line_breaks_ansi_and_templates_is_one_line(form: Literal["text", "json"]) -> None:
    line = written(NASTY, form=form, payload=NASTY, **{NASTY: 1})
    assert "%s {} %(x)s" in line


def test_json_keeps_the_value_as_it_was() -> None:
    assert fields_of("x", payload=NASTY)["payload"] == NASTY


@given(st.text(), st.sampled_from(["text", "json"]))
def test_any_text_is_one_printable_line(text: str, form: Literal["text", "json"]) -> None:
    written(text, form=form, value=text)


def test_a_line_has_time_level_event_child_and_logger() -> None:
    line = fields_of("outbox_delivered", event_id=7, ok=True, nothing=None, took=timedelta(seconds=1.5))
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "outbox_delivered",
        "child": threading.current_thread().name,
        "logger": "m10actors.tests",
        "event_id": 7,
        "ok": True,
        "nothing": None,
        "took": "0:00:01.500000",
    }


def test_text_is_key_value_with_quotes_only_where_they_are_needed() -> None:
    line = written("drained", form="text", count=3, reason="no more work", path="/run/m10", empty="")
    assert line.endswith('logger=m10actors.tests count=3 reason="no more work" path=/run/m10 empty=""')


def test_a_field_cannot_take_the_place_of_what_every_line_has() -> None:
    stream = io.StringIO()
    logs.setup("info", "json", stream)
    log.info("x", event="forged", level="critical", message="m")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["event_"], line["level"], line["level_"], line["message"]) == (
        "x",
        "forged",
        "info",
        "critical",
        "m",
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_print_as_stars(form: Literal["text", "json"]) -> None:
    secret = Secret("CANARY")
    line = written(
        "x",
        form=form,
        secret=secret,
        inside={"deep": [secret]},
        url=SecretUrl("redis://:CANARY@h/0"),
        dsn="postgres//u:CANARY@h/db",
        conninfo="host=h password=CANARY user=u",
        header="Authorization: Bearer CANARYCANARY",
        detail="Key (tok)=(CANARY) already exists.",
        signing="whsec_CANARY",
        error=ValueError("bad api_key='CANARY'"),
    )
    assert "CANARY" not in line
    assert "***" in line


def test_a_long_value_is_capped() -> None:
    value = str(fields_of("x", payload="a" * 5_000)["payload"])
    assert value == "a" * logs.MAX_VALUE + "…(+3000)"


@pytest.mark.parametrize(
    "number", [10**5_000, -(10**30), float("nan"), float("inf")], ids=["huge", "big", "nan", "inf"]
)
def test_a_number_that_json_cannot_hold_is_a_text(number: float) -> None:
    assert isinstance(fields_of("x", number=number)["number"], str)


def test_an_error_is_its_class_and_message_and_has_no_traceback() -> None:
    line = fields_of("job_failed", error=_raised())
    assert line["error"] == "KeyError: 'a\\nb'"
    assert "traceback" not in line
    assert fields_of("x", error=TimeoutError())["error"] == "TimeoutError"


@pytest.mark.parametrize("form", ["text", "json"])
def test_at_level_debug_an_error_has_its_traceback_on_the_same_line(form: Literal["text", "json"]) -> None:
    assert "in _raised" in written("job_failed", form=form, level="debug", error=_raised())


def test_levels_below_the_one_set_up_are_silent() -> None:
    stream = io.StringIO()
    logs.setup("warning", "text", stream)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line.split()[1:3] for line in stream.getvalue().splitlines()] == [["warning", "c"], ["error", "d"]]


def test_lines_of_other_libraries_pass_the_same_formatter() -> None:
    stream = io.StringIO()
    logs.setup("debug", "json", stream)
    other = logging.getLogger("some.library")
    other.info("not heard")
    other.warning("error connecting in %r: %s", "pool-1", "postgresql://u:CANARY@h/db\nforged")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["event"], line["logger"]) == ("library", "some.library")
    assert line["message"] == "error connecting in 'pool-1': postgresql://u:***@h/db\nforged"


def test_setting_up_twice_writes_once() -> None:
    logs.setup("info", "text", io.StringIO())
    assert written("x", form="text").count("event") == 0


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_auto_is_text_on_a_terminal_and_json_elsewhere() -> None:
    for stream, starts in ((_Terminal(), "2"), (io.StringIO(), "{")):
        logs.setup(stream=stream)
        log.info("x")
        assert stream.getvalue().startswith(starts)


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_value_that_cannot_be_printed_costs_its_line_and_nothing_else() -> None:
    assert written("x", value=_Unprintable()) == "log_failed event=x error=RuntimeError"


def test_a_closed_stream_stops_nobody() -> None:
    stream = io.StringIO()
    logs.setup(stream=stream)
    stream.close()
    log.info("x")


def _raised() -> KeyError:
    with pytest.raises(KeyError) as raised:
        {}["a\nb"]
    return raised.value
