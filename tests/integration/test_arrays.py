"""Texts as the literal of an array come back as they were."""

from hypothesis import given, settings
from hypothesis import strategies as st

from m10actors.postgres.arrays import text_array
from m10actors.testing.database import MigratedDatabase

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ODD = st.sampled_from(["", "NULL", "null", '"', "\\", "{}", "a,b", " x ", "\n", '{"a": "\\"\\\\"}', "'"])


def test_any_texts_and_none_come_back_from_the_literal_of_an_array(database: MigratedDatabase) -> None:
    connection = database.connect("app")

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.none() | TEXTS | ODD, max_size=5))
    def come_back(values: list[str | None]) -> None:
        [(back,)] = connection.execute("SELECT %s::text[]", [text_array(values)]).fetchall()
        assert back == values

    come_back()
