"""The canary: what we switch off in redis-py, what we rely on, and that no URL can bring it back."""

import inspect
from typing import Any, cast

import pytest
import redis
from redis import exceptions
from redis._parsers import _HiredisParser
from redis.connection import (
    AbstractConnection,
    Connection,
    DefaultParser,
    SSLConnection,
    UnixDomainSocketConnection,
)

from m10actors.streams.connection import make_connection
from m10actors.streams.errors import RedisMisconfigured

HOSTILE = "retry_on_timeout=yes&health_check_interval=1&socket_timeout=99&socket_connect_timeout=99"
URLS = [f"redis://h/0?{HOSTILE}&decode_responses=1&protocol=3", f"rediss://h/0?{HOSTILE}", f"unix:///s?{HOSTILE}"]


def opened(url: str) -> Any:
    return cast(Any, make_connection(url, 0.5))


def test_the_defaults_that_we_switch_off_are_still_the_ones_we_know() -> None:
    """T3, T5, T6."""
    known: dict[str, dict[str, object]] = {
        "6": {"retries": 3, "socket_timeout": None, "socket_connect_timeout": None},
        "7": {"retries": 3, "socket_timeout": None, "socket_connect_timeout": None},
        "8": {"retries": 10, "socket_timeout": 5, "socket_connect_timeout": 5},
    }
    defaults = {name: each.default for name, each in inspect.signature(redis.Redis.__init__).parameters.items()}
    found = {"retries": defaults["retry"].get_retries()}
    found |= {name: defaults[name] for name in ("socket_timeout", "socket_connect_timeout")}
    assert found == known[redis.__version__.partition(".")[0]]
    assert defaults["retry_on_timeout"] is False
    assert (defaults["retry_on_error"], defaults["health_check_interval"]) == (None, 0)
    assert defaults["decode_responses"] is False


def test_the_library_still_takes_a_wrong_password_and_a_full_pool_for_a_broken_connection() -> None:
    """T36, T37: why errors are told apart by their exact class."""
    assert issubclass(exceptions.AuthenticationError, exceptions.ConnectionError)
    assert issubclass(exceptions.MaxConnectionsError, exceptions.ConnectionError)
    assert issubclass(exceptions.BusyLoadingError, exceptions.ConnectionError)


def test_the_library_still_stays_with_a_server_that_was_demoted() -> None:
    """T35: to it, READONLY is the answer to a command and no matter of the connection."""
    assert not issubclass(exceptions.ReadOnlyError, exceptions.ConnectionError)


def test_every_error_that_is_judged_by_its_class_is_still_made_of_its_code() -> None:
    """A code that the library knows no more stays in the text, and would be an outage without a cause."""
    codes = {
        "LOADING": exceptions.BusyLoadingError,
        "READONLY": exceptions.ReadOnlyError, "OOM": exceptions.OutOfMemoryError,
        "MASTERDOWN": exceptions.MasterDownError, "CLUSTERDOWN": exceptions.ClusterDownError,
        "CROSSSLOT": exceptions.ClusterCrossSlotError, "NOAUTH": exceptions.AuthenticationError,
        "WRONGPASS": exceptions.AuthenticationError, "NOPERM": exceptions.NoPermissionError,
    }  # fmt: skip
    for code, kind in codes.items():
        assert type(DefaultParser.parse_error(f"{code} something else")) is kind, code  # type: ignore[no-untyped-call]
    for code in ("MISCONF", "NOREPLICAS", "NOGROUP", "UNBLOCKED", "BUSYGROUP", "WRONGTYPE", "BUSY"):
        error = DefaultParser.parse_error(f"{code} something")  # type: ignore[no-untyped-call]
        assert type(error) is exceptions.ResponseError, code
        assert str(error).startswith(code)


def test_the_parts_of_a_connection_that_we_build_on_are_still_there() -> None:
    assert all("_connect" in vars(kind) for kind in (Connection, SSLConnection, UnixDomainSocketConnection))
    for method in ("connect", "can_read", "pack_command", "send_packed_command", "read_response", "disconnect"):
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
