"""Arrays in PostgreSQL's binary form come back as they were."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m10actors.postgres.arrays import Bigints, Booleans, Ints, Reals, Texts
from m10actors.testing.database import MigratedDatabase

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ODD = st.sampled_from(["", "NULL", "null", '"', "\\", "{}", "a,b", " x ", "\n", '{"a": "\\"\\\\"}', "'"])
KINDS: list[tuple[str, Callable[[Any], object], st.SearchStrategy[Any]]] = [
    ("bigint", Bigints, st.integers(-(2**63), 2**63 - 1)),
    ("int", Ints, st.integers(-(2**31), 2**31 - 1)),
    ("real", Reals, st.floats(width=32, allow_nan=False)),
    ("boolean", Booleans, st.booleans()),
    ("text", Texts, st.none() | TEXTS | ODD),
]


@pytest.mark.parametrize(("kind", "array", "values"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_any_values_come_back_from_an_array(
    database: MigratedDatabase, kind: str, array: Callable[[Any], object], values: st.SearchStrategy[Any]
) -> None:
    connection = database.connect("app")

    @settings(max_examples=50, deadline=None)
    @given(st.lists(values, max_size=5))
    def come_back(given_: list[Any]) -> None:
        [(back,)] = connection.execute(f"SELECT %s::{kind}[]".encode(), [array(given_)], binary=True).fetchall()
        assert back == given_

    come_back()


def test_bytes_are_the_text_that_they_encode(database: MigratedDatabase) -> None:
    [(back,)] = database.connect("app").execute("SELECT %s", [Texts(["ä".encode(), "ä", None])]).fetchall()
    assert back == ["ä", "ä", None]


@pytest.mark.parametrize("text", ["a\0b", b"\xff"])
def test_what_is_no_text_of_postgresql_is_refused_by_it(database: MigratedDatabase, text: str | bytes) -> None:
    with pytest.raises(psycopg.Error):
        database.connect("app").execute("SELECT %s", [Texts([text])])
