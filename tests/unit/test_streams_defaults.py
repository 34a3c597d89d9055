"""The canary: what we switch off in redis-py, what we rely on, and that no URL can bring it back."""

import inspect
from typing import Any, cast

import pytest
import redis
from redis._parsers import _HiredisParser
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

from m10actors.streams.connection import make_connection
from m10actors.streams.errors import RedisMisconfigured

HOSTILE = "retry_on_timeout=yes&health_check_interval=1&socket_timeout=99&socket_connect_timeout=99"
URLS = [f"redis://h/0?{HOSTILE}&decode_responses=1&protocol=3", f"rediss://h/0?{HOSTILE}", f"unix:///s?{HOSTILE}"]


def opened(url: str) -> Any:
    return cast(Any, make_connection(url, 0.5))


def test_the_defaults_that_we_switch_off_are_still_the_ones_we_know() -> None:
    known = {"6": (3, None), "7": (3, None), "8": (10, 5)}
    defaults = inspect.signature(redis.Redis.__init__).parameters
    found = defaults["retry"].default.get_retries(), defaults["socket_timeout"].default
    assert found == known[redis.__version__.partition(".")[0]]


def test_the_parts_of_a_connection_that_we_build_on_are_still_there() -> None:
    assert all("_connect" in vars(kind) for kind in (Connection, SSLConnection, UnixDomainSocketConnection))
    for method in ("connect", "can_read", "pack_commands", "send_packed_command", "read_response", "disconnect"):
        assert callable(getattr(AbstractConnection, method))


@pytest.mark.parametrize("url", URLS)
def test_nothing_is_retried_decoded_or_pinged_whatever_the_url_says(url: str) -> None:
    connection = opened(url)
    assert connection.retry.get_retries() == 0
    assert connection.retry_on_error == []
    assert connection.health_check_interval == 0
    assert connection.encoder.decode_responses is False
    assert connection.protocol == 2
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (0.5, 0.5)


def test_replies_are_parsed_by_hiredis() -> None:
    assert isinstance(opened("redis://h/0")._parser, _HiredisParser)


@pytest.mark.parametrize(
    ("url", "kind"), [(URLS[0], Connection), (URLS[1], SSLConnection), (URLS[2], UnixDomainSocketConnection)]
)
def test_every_scheme_has_its_connection(url: str, kind: type) -> None:
    assert isinstance(opened(url), kind)


def test_tls_checks_the_certificate_and_the_host_name_by_default() -> None:
    connection = opened("rediss://h/0")
    assert connection.cert_reqs.name == "CERT_REQUIRED"
    assert connection.check_hostname is True


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:s3cret@h/0",
        "redis//u:s3cret@h/0",
        "redis://u:s3cret/@h:1/0",
        "redis://u:s3cret@h/0?socket_timeout=s3cret",
        "redis://u:s3cret@h/0?nonsense=s3cret",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(RedisMisconfigured) as caught:
        make_connection(url, 0.5)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__
