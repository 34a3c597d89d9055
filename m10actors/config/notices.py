"""What is allowed but worth a word."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs

from m10actors.config.addresses import TcpAddress, remote_hosts
from m10actors.config.model import Settings
from m10actors.urls import split_url


def notices(settings: Settings, origins: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each thing that a person should know about these settings."""
    threshold = origins["decisions.claim_threshold"]
    if threshold != "default":
        yield f"decisions.claim_threshold ({threshold}) is accepted but has no meaning: nothing reads it"
    yield from _unverified_connections(settings)
    for address in settings.http.ops_listen:
        if isinstance(address, TcpAddress) and not address.loopback:
            yield f"operations listen on {address}: every request there needs a token of scope ops"


def _unverified_connections(settings: Settings) -> Iterator[str]:
    database = settings.database
    for name in ("url", "ops_url", "metrics_url", "migrate_url"):
        secret = getattr(database, name)
        if secret is None:
            continue
        url = secret.get_secret_value()
        if remote_hosts(url) and parse_qs(split_url(url).query).get("sslmode") != ["verify-full"]:
            yield f"database.{name} leaves this host without sslmode=verify-full: the server is not verified"
    redis = settings.redis.url.get_secret_value()
    if redis.startswith(("redis:", "redis+")) and remote_hosts(redis):
        yield "redis.url leaves this host without TLS: use rediss://"
