"""Addresses with several hosts are taken apart the same way on every Python; since 3.14 urllib refuses some of them."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from m10actors.config.addresses import check_http_url, check_postgres_url, check_redis_url, remote_hosts
from m10actors.urls import split_url

SEVERAL = "postgresql://m10_app:s3cret@db1,[2001:db8::1]:5433/m10?sslmode=verify-full"


def test_a_later_host_may_be_an_address_of_ip_version_6() -> None:
    check_postgres_url(SEVERAL)
    assert remote_hosts(SEVERAL) == ("db1", "2001:db8::1")
    assert split_url(SEVERAL).query == "sslmode=verify-full"


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://host:8710/path?a=b#c",
        "unix:///run/redis.sock?db=1",
        "redis://:p%40ss@[::1]:6379/1",
        "host",
        "//host",
        "",
    ],
)
def test_an_address_of_one_host_has_the_parts_that_urllib_tells(url: str) -> None:
    assert split_url(url) == urlsplit(url)


@pytest.mark.parametrize(
    ("check", "url"),
    [
        (check_redis_url, "redis://:s3cret[@cache"),
        (check_postgres_url, "postgresql://a:s3cret]@db/m10"),
        (check_http_url, "http://[s3cret"),
    ],
)
def test_half_a_pair_of_brackets_is_refused_and_nothing_of_it_quoted(check: Callable[[str], None], url: str) -> None:
    with pytest.raises(ValueError, match=r"write \[ in a password as %5B, \] as %5D") as refused:
        check(url)
    assert "s3cret" not in str(refused.value)
