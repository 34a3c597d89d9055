"""Which Host and Origin are answered."""

import pytest

from m10actors.web.hosts import refusal

ALLOWED = frozenset({"m10.example", "other.example:8443", "[fd00::1]"})


def status(host: str, origin: str | None = None, own: str = "127.0.0.1") -> int:
    found = refusal(host, origin, own, ALLOWED)
    return 200 if found is None else found.status


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "127.255.0.9", "[::1]", "m10.example:5", "[fd00::1]:80"])
def test_loopback_and_allowed_names_are_answered(host: str) -> None:
    assert status(host) == 200


@pytest.mark.parametrize(
    "host", ["", ":80", "[]", "localhost.", "localhost:123456", "a b", "10.0.0.5", "other.example:1"]
)
def test_everything_else_is_misdirected(host: str) -> None:
    assert status(host) == 421


def test_the_address_that_was_connected_to_is_answered_but_no_other() -> None:
    assert status("10.0.0.5:8710", own="10.0.0.5") == 200
    assert status("[fe80::1]:8710", own="fe80::1") == 200
    assert status("10.0.0.6:8710", own="10.0.0.5") == 421
    assert status("", own="") == 421


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://m10.example:5", 200),
        ("https://M10.example:5", 200),
        ("http://m10.example", 403),
        ("http://m10.example:6", 403),
        ("m10.example:5", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_an_origin_must_be_the_host(origin: str, expected: int) -> None:
    assert status("m10.example:5", origin) == expected
