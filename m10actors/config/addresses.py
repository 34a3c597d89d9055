"""Addresses: what a listener binds, and the forms of the URLs that settings may hold.

A check raises ValueError whose text says what is expected. It never repeats the address: that may hold a password.
"""

import ipaddress
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs

from m10actors.redis_address import REDIS_SCHEMES, certificates, redis_address
from m10actors.urls import split_url

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]*)(?::([0-9]{1,5}))?")
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")

POSTGRES_FORM = "an address like postgresql://USER:PASSWORD@HOST:5432/DATABASE"
REDIS_FORM = (
    "an address like redis://:PASSWORD@HOST:6379/0, rediss://…, unix://PATH, redis+sentinel://HOST,HOST/SERVICE"
    " or redis+cluster://HOST,HOST"
)
HTTP_FORM = "an address like https://HOST/PATH"
TCP_FORM = "an address like 127.0.0.1:8710 or [::1]:8710"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Where a listener binds; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket; without a path it is the socket in the run folder."""

    path: Path | None = None

    def __str__(self) -> str:
        return f"unix:{self.path or ''}"


def tcp_address(text: str) -> TcpAddress:
    """`host:port`, where an IPv6 host stands in brackets."""
    form = _HOST_PORT.fullmatch(text)
    if form is None or not form[1] or form[2] is None or not _is_host(form[1]) or int(form[2]) > 65_535:
        raise ValueError(TCP_FORM)
    return TcpAddress(form[1].strip("[]"), int(form[2]))


def listen_address(text: str) -> TcpAddress | UnixAddress:
    """`unix:`, `unix:PATH` or `host:port`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        return UnixAddress(Path(path) if path else None)
    try:
        return tcp_address(text)
    except ValueError as error:
        raise ValueError(f"unix:, unix:PATH or {TCP_FORM}") from error


def check_postgres_url(text: str) -> None:
    """libpq's URI form, with several hosts or none (the host may stand in the query)."""
    url = _split(text, {"postgresql", "postgres"}, POSTGRES_FORM)
    for host in url.netloc.rpartition("@")[2].split(","):
        _check_host_port(host, POSTGRES_FORM)


def check_redis_url(text: str) -> None:
    """redis-py's URL forms (TCP, TLS, Unix socket), and those of Sentinel and Cluster; files of certificates must be
    there. The path of a TCP form is the number of the database.
    """
    url = _split(text, REDIS_SCHEMES, REDIS_FORM)
    try:
        redis_address(text)
    except ValueError as error:
        raise ValueError(f"{REDIS_FORM} ({error})") from None
    if url.scheme == "unix":
        if not url.path.startswith("/"):
            raise ValueError(REDIS_FORM)
        return
    several = "+" in url.scheme
    hosts = url.netloc.rpartition("@")[2]
    for host in hosts.split(",") if several else [hosts]:
        _check_host_port(host, REDIS_FORM, required=several)
    if not several and not re.fullmatch(r"/?[0-9]{0,5}", url.path):
        raise ValueError(f"{REDIS_FORM}, where the path is the number of the database")
    _check_certificates(certificates(text))


def check_http_url(text: str) -> None:
    """An absolute http or https URL with a host; no credentials and no fragment."""
    url = _split(text, {"http", "https"}, HTTP_FORM)
    if "@" in url.netloc:
        raise ValueError(f"{HTTP_FORM} without a user or password: use a header")
    if "#" in text:
        raise ValueError(f"{HTTP_FORM} without a fragment")
    _check_host_port(url.netloc, HTTP_FORM, required=True)


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or a literal, is this host alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def remote_hosts(url: str) -> tuple[str, ...]:
    """The hosts of a checked PostgreSQL or Redis URL that are neither a socket nor loopback."""
    split = split_url(url)
    if split.scheme == "unix":
        return ()
    parts = [*split.netloc.rpartition("@")[2].split(","), *parse_qs(split.query).get("host", ())]
    hosts = [form[1].strip("[]") for part in parts if (form := _HOST_PORT.fullmatch(part))]
    return tuple(host for host in hosts if host and "%2f" not in host.lower() and not is_loopback(host))


def _check_certificates(named: Mapping[str, str]) -> None:
    """Read once now, so that a wrong file is a matter of configuration and not an outage."""
    if not named:
        return
    import ssl  # costs the start of a command 10 ms that names none

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, argument in (("ssl_ca_certs", "cafile"), ("ssl_ca_path", "capath")):
        if name in named:
            try:
                context.load_verify_locations(**{argument: named[name]})
            except OSError:
                what = "file" if argument == "cafile" else "folder"
                raise ValueError(f"{REDIS_FORM} ({name} is a readable {what} of PEM certificates)") from None
    if "ssl_certfile" in named:
        try:
            context.load_cert_chain(named["ssl_certfile"], named.get("ssl_keyfile"), named.get("ssl_password", ""))
        except OSError:
            expected = "ssl_certfile is a readable PEM file with a certificate, the key in it or in ssl_keyfile"
            raise ValueError(f"{REDIS_FORM} ({expected}; ssl_password opens it)") from None


def _split(text: str, schemes: Set[str], form: str) -> SplitResult:
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise ValueError(f"{form} (there is no :// after the scheme)")
    if scheme not in schemes:
        raise ValueError(f"{form} (another scheme was given)")
    if _UNPRINTABLE.search(text):
        raise ValueError(f"{form}, in printable ASCII without spaces (write others as %XX)")
    url = split_url(text)
    if url.netloc.count("@") > 1:
        raise ValueError(f"{form} (write @ in a password as %40)")
    if url.netloc.count("[") != url.netloc.count("]"):
        raise ValueError(f"{form} (write [ in a password as %5B, ] as %5D)")
    return url


def _check_host_port(text: str, form: str, *, required: bool = False) -> None:
    parts = _HOST_PORT.fullmatch(text)
    if parts is None or (parts[2] is not None and not 1 <= int(parts[2]) <= 65_535):
        raise ValueError(f"{form} (the port is not a number from 1 to 65535, or the host has a wrong form)")
    if (parts[1] or required) and not _is_host(parts[1]):
        raise ValueError(f"{form} (the host has a wrong form)")


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return _HOST.fullmatch(text) is not None or "%2f" in text.lower()
    try:
        return ipaddress.ip_address(text.strip("[]")).version == 6
    except ValueError:
        return False
