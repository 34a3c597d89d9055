"""Addresses of Redis in every form, and what is said of those that cannot be used."""

import pytest

from m10actors.config.addresses import check_redis_url, remote_hosts
from m10actors.redis_address import Form, redis_address

GOOD = [
    "redis://cache",
    "redis://:s3cret@cache:6380/1?client_name=m10&socket_timeout=3&decode_responses=true",
    "unix:///run/redis.sock?db=1",
    "rediss://cache?ssl_check_hostname=false&ssl_cert_reqs=required",
    "redis+sentinel://one,two:26380/main",
    "rediss+sentinel://u:s3cret@one/main/2?sentinel_username=a&sentinel_password=b&ssl_cert_reqs=none",
    "redis+cluster://one:7000,[::1]:7001",
    "rediss+cluster://one:7000/0",
]

BAD = {
    "redis://cache?nonsense=s3cret": "another one was given",
    "redis://cache?db=s3cret": "db is a whole number",
    "redis://cache?db=1&db=2": "db stands there twice",
    "redis://cache?ssl_ca_certs=/s3cret": "ssl_ca_certs goes with TLS: rediss://",
    "redis+cluster://cache?ssl_cert_reqs=none": "goes with TLS: rediss+cluster://",
    "rediss://cache?ssl_cert_reqs=s3cret": "ssl_cert_reqs is required, optional or none",
    "rediss://cache?ssl_check_hostname=s3cret": "ssl_check_hostname is true or false",
    "rediss://cache?ssl_keyfile=/s3cret": "ssl_keyfile goes with ssl_certfile",
    "rediss://cache?ssl_ca_certs=/no/s3cret": "ssl_ca_certs is a readable file of PEM certificates",
    "rediss://cache?ssl_certfile=/no/s3cret": "ssl_certfile is a readable PEM file",
    "redis://cache?sentinel_password=s3cret": "sentinel_password goes with redis+sentinel://",
    "redis+sentinel://:s3cret@one,two": "the path is /SERVICE",
    "redis+sentinel://:s3cret@one,two/main/x": "the path is /SERVICE",
    "redis+sentinel://:s3cret@one,,two/main": "HOST or HOST:PORT",
    "redis+sentinel://one:99999/main": "the port is not a number",
    "redis+cluster://:s3cret@one/3": "no database but 0",
    "redis+cluster://one?db=3": "no database but 0",
    "redis+cluster://one two": "printable ASCII",
    "redis+replica://one": "another scheme",
}


@pytest.mark.parametrize("url", GOOD)
def test_every_form_that_people_use_is_taken(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize(("url", "expected"), BAD.items())
def test_what_is_wrong_is_named_and_nothing_of_it_quoted(url: str, expected: str) -> None:
    with pytest.raises(ValueError, match="an address like redis://") as caught:
        check_redis_url(url)
    assert expected in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_sentinels_are_reached_with_credentials_of_their_own_and_the_same_tls() -> None:
    found = redis_address(
        "rediss+sentinel://u:p%40ss@one,two:26380/main/2?sentinel_password=it%27s&ssl_cert_reqs=none&client_name=x"
    )
    assert (found.form, found.service) == (Form.SENTINEL, "main")
    assert found.hosts == (("one", 26379), ("two", 26380))
    assert found.server == "rediss://u:p%40ss@/2?ssl_cert_reqs=none&client_name=x"
    assert found.sentinel == "rediss://:it%27s@/?ssl_cert_reqs=none"
    assert "p%40ss" not in repr(found)


def test_the_nodes_of_a_cluster_are_places_to_begin_at() -> None:
    found = redis_address("redis+cluster://:pw@one,[::1]:7001,10.0.0.1:7002/0")
    assert found.hosts == (("one", 6379), ("::1", 7001), ("10.0.0.1", 7002))
    assert found.server == "redis://:pw@/"


def test_hosts_of_every_form_are_known_to_the_look_at_what_leaves_this_host() -> None:
    assert remote_hosts("redis+sentinel://127.0.0.1,cache:26379/main") == ("cache",)
    assert remote_hosts("redis+cluster://localhost:1,localhost:2") == ()
