"""Addresses of Redis: one server, a primary that Sentinels watch, a Cluster. Pure: known to settings and to the stream.

    redis://  rediss://  unix://                   as redis-py knows them
    redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/SERVICE/DB       and rediss+sentinel:// with TLS to all of them
    redis+cluster://USER:PASSWORD@HOST:6379,HOST:6379                     and rediss+cluster://

No error repeats the address: it may hold a password.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode

from m10actors.urls import split_url

REDIS_SCHEMES: Final = frozenset(
    {"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}
)
_PORTS: Final = {"sentinel": 26379, "cluster": 6379}

Host = tuple[str, int]


class Form(StrEnum):
    """Who stands behind an address."""

    SERVER = "one server"
    SENTINEL = "a primary that Sentinels watch"
    CLUSTER = "a Cluster"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """An address taken apart.

    `server` and `sentinel` are addresses of one server, as redis-py knows them, with everything but the host where
    `hosts` name it: Sentinels, or nodes of the Cluster. `service` is the name under which Sentinels know the primary.
    """

    form: Form
    server: str = field(repr=False)
    hosts: tuple[Host, ...] = ()
    service: str = ""
    sentinel: str = field(default="", repr=False)


def redis_address(text: str) -> RedisAddress:
    """The parts of a URL whose hosts and characters are well-formed; ValueError, whose text says what is expected."""
    url = split_url(text)
    base, _, way = url.scheme.partition("+")
    if url.scheme not in REDIS_SCHEMES:
        raise ValueError("another scheme was given")
    options = _options(url, base, way)
    if not way:
        return RedisAddress(Form.SERVER, text)
    user, _, hosts = url.netloc.rpartition("@")
    found = tuple(_host(each, _PORTS[way]) for each in hosts.split(","))
    path = url.path.strip("/")
    if way == "cluster":
        if path not in {"", "0"} or options.get("db", "0") != "0":
            raise ValueError("a Cluster has no database but 0")
        return RedisAddress(Form.CLUSTER, _one_server(base, user, "", options), found)
    service, _, database = path.partition("/")
    if not service or not re.fullmatch("[0-9]{0,5}", database):
        raise ValueError("the path is /SERVICE, the name under which the Sentinels know the primary, or /SERVICE/DB")
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in _SENTINEL if name in options}
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    watcher = ":".join(quote(own.get(name, ""), safe="") for name in ("username", "password")) if own else ""
    return RedisAddress(
        Form.SENTINEL,
        _one_server(base, user, database, options),
        found,
        service,
        _one_server(base, watcher, "", tls),
    )


def _one_server(base: str, user: str, path: str, options: Mapping[str, str]) -> str:
    """An address without a host, which whoever connects fills in."""
    return f"{base}://{user}{'@' if user else ''}/{path}{'?' if options else ''}{urlencode(options)}"


def _host(text: str, port: int) -> Host:
    host, _, given = text.rpartition(":") if re.search(r":[0-9]+$", text) else (text, "", "")
    if not host:
        raise ValueError("each of the hosts, with commas between them, is HOST or HOST:PORT")
    return host.strip("[]"), int(given or port)


def _options(url: SplitResult, base: str, way: str) -> dict[str, str]:
    """The parameters of the query that mean something here."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        if name in _OURS:
            continue
        check = _PLAIN.get(name) or _TLS.get(name) or _SENTINEL.get(name)
        if check is None:
            raise ValueError(f"parameters are {', '.join([*_PLAIN, *_TLS, *_SENTINEL])}; another one was given")
        if name in found:
            raise ValueError(f"{name} stands there twice")
        if name in _TLS and base != "rediss":
            raise ValueError(f"{name} goes with TLS: rediss{'+' if way else ''}{way}://")
        if name in _SENTINEL and way != "sentinel":
            raise ValueError(f"{name} goes with redis+sentinel:// or rediss+sentinel://")
        if expected := check(value):
            raise ValueError(f"{name} is {expected}")
        found[name] = value
    if ("ssl_keyfile" in found) and "ssl_certfile" not in found:
        raise ValueError("ssl_keyfile goes with ssl_certfile, the certificate")
    return found


Check = Callable[[str], str]
"""What is expected of a value; nothing where it is as it should be."""


def _text(value: str) -> str:
    return "" if value else "a text"


def _number(value: str) -> str:
    return "" if re.fullmatch("[0-9]{1,5}", value) else "a whole number"


def _truth(value: str) -> str:
    return "" if value.lower() in {"true", "false", "yes", "no", "1", "0"} else "true or false"


def _requirement(value: str) -> str:
    return "" if value in {"required", "optional", "none"} else "required, optional or none"


_PLAIN: Final[dict[str, Check]] = {
    "db": _number,
    "username": _text,
    "password": _text,
    "client_name": _text,
    "socket_keepalive": _truth,
}
_TLS: Final[dict[str, Check]] = {
    "ssl_ca_certs": _text,
    "ssl_ca_path": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_password": _text,
    "ssl_check_hostname": _truth,
    "ssl_cert_reqs": _requirement,
    "ssl_ciphers": _text,
}
_SENTINEL: Final[dict[str, Check]] = {"sentinel_username": _text, "sentinel_password": _text}

_OURS: Final = frozenset(
    {
        "decode_responses", "encoding", "encoding_errors", "health_check_interval", "legacy_responses",
        "max_connections", "protocol", "retry_on_error", "retry_on_timeout", "socket_connect_timeout",
        "socket_read_size", "socket_timeout", "timeout",
    }
)  # fmt: skip
"""What redis-py takes from an address and this program settles itself: without effect, since others may share it."""


def certificates(text: str) -> dict[str, str]:
    """The files of certificates that a well-formed URL names, by parameter."""
    names = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password")
    return {name: value for name, value in parse_qsl(split_url(text).query) if name in names}
