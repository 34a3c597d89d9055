"""Which decision each error of PostgreSQL stands for (trap T74), and what its message may not say (T117)."""

import psycopg
import pytest
from psycopg_pool import PoolTimeout, TooManyRequests

from m10actors.postgres.errors import (
    DataRefused,
    LeaseLost,
    NotPermitted,
    StoreContention,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    translate,
)

MEANS: dict[type[StoreError], str] = {
    StoreContention: "40001 40P01 55P03",
    StoreUnavailable: """08000 08001 08003 08004 08006 08P01 25006 25P03 25P04 53000 53100 53200 53300 53400 57014 57P01
        57P02 57P03 57P05 58000 58030 XX000""",
    NotPermitted: "28000 28P01 42501",
    LeaseLost: "M1002",
    DataRefused: "22001 22003 22008 22021 22023 22P02 22P05 23502 23503 23505 23514 54000 54001 P0001",
    StoreRefused: "0A000 21000 25P02 3D000 42601 42703 42883 42P01 M1001 M1003",
}


def driver_error(
    state: str | None, message: str = "", kind: type[psycopg.Error] = psycopg.DatabaseError
) -> psycopg.Error:
    return type("Given", (kind,), {"sqlstate": state})(message)


@pytest.mark.parametrize(
    ("state", "expected"), [(state, kind) for kind, states in MEANS.items() for state in states.split()]
)
def test_a_sqlstate_stands_for_one_decision(state: str, expected: type[StoreError]) -> None:
    translated = translate(driver_error(state, "words"))
    assert type(translated) is expected
    assert translated.sqlstate == state
    assert str(translated) == f"words ({state})"


@pytest.mark.parametrize(
    "error", [PoolTimeout("p"), TooManyRequests("p"), psycopg.OperationalError("x"), psycopg.InterfaceError()]
)
def test_a_connection_that_failed_is_weather(error: Exception) -> None:
    translated = translate(error)
    assert type(translated) is StoreUnavailable
    assert translated.sqlstate is None


def test_data_that_the_driver_cannot_send_is_refused() -> None:
    assert type(translate(psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"))) is DataRefused
    with pytest.raises(UnicodeEncodeError) as caught:
        "\ud800".encode()
    assert type(translate(caught.value)) is DataRefused


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("22P02", 'invalid input syntax for type uuid: "S3CRET"'),
        ("22003", 'value "S3CRET" is out of range for type integer'),
        ("22007", 'invalid input syntax for type interval: "S3C"S3CRET'),
        ("23505", 'duplicate key value violates unique constraint "u"\nDETAIL:  Key (token)=(S3CRET) already exists.'),
        (None, 'missing "=" after "postgres//u:S3CRET@h/db" in connection info string'),
        (None, 'invalid connection option "S3CRET\nS3CRET"'),
    ],
)
def test_a_message_repeats_no_value_and_no_address(state: str | None, message: str) -> None:
    translated = translate(driver_error(state, message, psycopg.ProgrammingError))
    assert isinstance(translated, StoreRefused)
    assert "S3C" not in str(translated)


def test_what_is_no_error_of_the_driver_is_not_swallowed() -> None:
    with pytest.raises(KeyError):
        translate(KeyError("ours"))
