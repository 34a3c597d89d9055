"""What verbs print: plain in a pipe, drawn on a terminal, where ids are never broken."""

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from m10actors.cli import output
from m10actors.cli.output import Count, Gist, When

ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
LONG = "a sentence of many words that will not fit on one line of a narrow terminal " * 3


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is printed on a terminal that is so many letters wide."""

    def draw(width: int, print_it: Callable[[], None]) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("LINES", "50")
        monkeypatch.setenv("TERM", "dumb")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal := Terminal())
            print_it()
        return terminal.getvalue()

    return draw


def test_in_a_pipe_a_table_is_tab_separated_and_a_moment_a_moment(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 31, 8, tzinfo=UTC)
    output.table(("id", "n", "when", "none"), [(ID, Count(12345), When(moment), When(None))])
    assert capsys.readouterr().out == f"id\tn\twhen\tnone\n{ID}\t12345\t2026-01-31T08:00:00+00:00\t-\n"


def test_on_a_terminal_counts_and_moments_are_readable(drawn: Callable[..., str]) -> None:
    now = datetime.now(UTC)
    row = (Count(12345), When(now - timedelta(hours=3, minutes=20)), When(now + timedelta(minutes=5, seconds=9)))
    assert drawn(80, lambda: output.table(("n", "past", "next"), [row])).split("\n")[1].split("  ") == [
        "12,345", "3h 20m", "in 5m",
    ]  # fmt: skip


def test_a_long_sentence_is_cut_on_a_terminal_and_whole_in_a_pipe(
    drawn: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(drawn(200, lambda: output.table(("when",), [(Gist(LONG),)])).split()[1:])
    assert words.endswith(" …")
    assert LONG.startswith(words.removesuffix("…"))
    output.table(("when",), [(Gist(LONG),)])
    assert capsys.readouterr().out == f"when\n{LONG}\n"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_ids_stay_whole_and_no_letter_is_lost_however_narrow_it_is(drawn: Callable[..., str], width: int) -> None:
    text = drawn(width, lambda: output.table(("id", "said"), [(ID, LONG)]))
    assert str(ID) in text
    assert "…" not in text
    rest = text.replace(str(ID), "").partition("\n")[2]
    assert rest.split() == LONG.split()


def test_control_characters_are_escaped(drawn: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    evil = "a\x1b[2J\nb\u202e"
    print_it = [
        lambda: output.table(("x",), [(evil,)]),
        lambda: output.record(evil, {"x": evil}),
        lambda: output.section(evil, ("x",), [(evil,)]),
        lambda: output.pretty(evil, {evil: [evil]}),
    ]
    for each in print_it:
        each()
        for text in (capsys.readouterr().out, drawn(80, each)):
            assert "\\x1b" in text
            assert not {"\x1b", "\u202e"} & set(text)


def test_markup_in_what_is_printed_is_text(drawn: Callable[..., str]) -> None:
    assert "[bold]x[/bold]" in drawn(80, lambda: output.table(("x",), [("[bold]x[/bold]",)]))


def test_an_empty_table_has_its_columns_and_an_empty_section_is_left_out(drawn: Callable[..., str]) -> None:
    assert drawn(80, lambda: output.table(("id", "said"), [])).split() == ["id", "said"]
    assert drawn(80, lambda: output.section("events", ("id",), [])) == ""


def test_a_record_leaves_out_what_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.record("event 1", {"a": None, "b": "", "c": 0, "d": False, "e": []})
    assert capsys.readouterr().out == "event 1\nc\t0\nd\tno\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (3661, "1h 1m"), (90_000, "1d 1h"), (-5, "0s")],
)
def test_an_age_is_told_in_its_largest_units(seconds: float, text: str) -> None:
    assert output.age(timedelta(seconds=seconds)) == text


def test_a_document_has_moments_and_uuids_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"id": ID, "at": datetime(2026, 1, 31, 0, 0, 0, 250, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"id": str(ID), "at": "2026-01-31T00:00:00.000250+00:00"}
