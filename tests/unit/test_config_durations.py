"""Durations as texts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.config.durations import duration, render


@given(st.integers(min_value=0, max_value=10**14).map(lambda ms: timedelta(milliseconds=ms)))
def test_what_is_rendered_reads_back_as_the_same(value: timedelta) -> None:
    assert duration(render(value)) == value


@given(st.integers(min_value=0, max_value=10**8), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_reads_as_its_number_of_units(number: int, unit: str) -> None:
    size = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[unit]
    assert duration(f"{number}{unit}") == timedelta(milliseconds=number * size)


@given(st.text(max_size=12).filter(lambda text: not text.isascii() or not text[:1].isdigit()))
def test_any_other_text_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a duration"):
        duration(text)


@pytest.mark.parametrize(("text", "milliseconds"), [("1.5s", 1500), ("0.25m", 15_000), ("0s", 0), ("1500ms", 1500)])
def test_decimals_are_read_to_the_millisecond(text: str, milliseconds: int) -> None:
    assert duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "text", ["", "5", "-5s", "1e9s", "5 s", "s", "5S", "٣s", "1.0005s", "0.5ms", "1h30m", "999999999999d"]
)
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        duration(text)


@pytest.mark.parametrize(("text", "rendered"), [("300s", "5m"), ("90s", "90s"), ("48h", "2d"), ("0s", "0ms")])
def test_the_largest_unit_that_fits_is_written(text: str, rendered: str) -> None:
    assert render(duration(text)) == rendered
