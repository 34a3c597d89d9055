"""Whatever a message contains, masking it takes away what varies, changes nothing twice, and ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.fingerprint import identity
from m10actors.recovery.fingerprint.masking import masked

WORDS = st.text(st.characters(codec="utf-8", categories=["L"]), min_size=1, max_size=8).filter(str.isalpha)
NUMBERS = st.integers(0, 10**12).map(str) | st.floats(0, 1e6).map(lambda number: f"{number:.3f}")
ADDRESSES = st.ip_addresses().map(str) | st.ip_addresses(v=4).map(lambda address: f"{address}:8080")
TIMES = st.datetimes().map(str) | st.datetimes().map(lambda time: time.strftime("%d/%m/%Y %H:%M:%S"))
PATHS = st.lists(st.sampled_from(["var", "log", "app-1", "x.log"]), min_size=1).map(lambda names: "/" + "/".join(names))
VALUES = st.uuids().map(str) | NUMBERS | ADDRESSES | TIMES | PATHS
TOKENS = (
    VALUES | WORDS | st.builds("{}={}".format, WORDS, VALUES) | VALUES.map("'{}'".format) | VALUES.map("({}),".format)
)
MESSAGES = st.lists(TOKENS, max_size=12).map(" ".join)
HOSTILE = [
    *"a0f_-.:/\\@+~=<>\"'`()[]{}#, %é",
    *(
        "a+",
        "a.",
        "a/",
        "a@",
        "=[",
        '="',
        "={[(<",
        '"/',
        "::",
        "0:",
        "0.",
        "0_",
        "a1b",
        "c:\\a ",
        "error=",
        "://",
        "-#",
    ),
    *(
        "for a from ",
        "invalid user ",
        "jun ",
        "mon, ",
        "a.b.com",
        "a=(",
        '" ',
        "+%a-1a",
        "\n",
        "\tat (",
        'File "',
        "| ",
    ),
]


@given(MESSAGES)
def test_masking_twice_changes_nothing(message: str) -> None:
    assert masked(masked(message)) == masked(message)


@pytest.mark.parametrize("values", [NUMBERS, st.uuids().map(str), ADDRESSES, TIMES, PATHS], ids=repr)
def test_a_value_that_varies_leaves_no_trace(values: st.SearchStrategy[str]) -> None:
    @given(st.lists(WORDS).map(" ".join), values, values, st.lists(WORDS).map(" ".join))
    def varies(before: str, one: str, other: str, after: str) -> None:
        assert masked(f"{before}, {one}; {after}") == masked(f"{before}, {other}; {after}")

    varies()


@given(MESSAGES)
def test_letter_case_and_white_space_do_not_count(message: str) -> None:
    assert masked(message) == masked(message.lower()) == masked(f" {message}\n".replace(" ", "  "))


@given(st.text())
def test_any_text_has_an_identity(text: str) -> None:
    assert isinstance(identity(text, text), str)


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_ends(piece: str) -> None:
    """Half a million characters of it: what went back even once for each would run into the test's own time limit."""
    size = 500_000
    assert len(identity((piece * (size // len(piece)))[:size], "\n" + piece)) <= 2 * size
