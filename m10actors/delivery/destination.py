"""Where events may go: the destinations of the configuration, checked when they are made."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Self
from urllib.parse import urlsplit

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from m10actors.delivery.valve import USUAL_LIMITS, Limits

Network = IPv4Network | IPv6Network

_PORTS = {"http": 80, "https": 443}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_URL = re.compile(r"[\x21-\x7e]+")
_PART = re.compile(r"[^\s/?&=]+")


class InvalidDestination(ValueError):
    """A destination that could never be called, or not safely."""


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https address, taken apart once, so that what was checked is what is called."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError for anything but printable ASCII, http or https, a host, no user name. A fragment is dropped."""
        if not _URL.fullmatch(text):
            raise ValueError("an url is printable ASCII (an international name in its xn-- form)")
        parts = urlsplit(text)
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme not in _PORTS or not host:
            raise ValueError("an url is http:// or https:// and a host")
        if "@" in parts.netloc:
            raise ValueError("an url carries no user name: credentials go into headers")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        return cls(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    @property
    def origin(self) -> tuple[str, str, int]:
        """What has to be equal for an url of a payload to be allowed: scheme, host, port."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver. `url`, `headers` and `secrets` may hold credentials and stay out of the repr.

    `timeout` is the total deadline of one attempt, from the look-up of the name to the last byte of the answer.
    `secrets` (Standard Webhooks, `whsec_…`): each signs, so that an old and a new one overlap during a rotation.
    `allow_networks` opens parts of the guard's deny table; metadata and link-local addresses stay closed.
    `limits`: how much it is given at once, and when it is left alone. `batch`: with more than 1, `webhook:` events that
    name it go together, so many in one request at most.
    InvalidDestination says what is wrong with the values.
    """

    name: str
    url: str = field(repr=False)
    timeout: timedelta = timedelta(seconds=30)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    on_conflict: Literal["retry", "delivered"] = "retry"
    allow_networks: tuple[Network, ...] = ()
    allow_http: bool = False
    limits: Limits = USUAL_LIMITS
    batch: int = 1
    address: Url = field(init=False, repr=False)

    @property
    def credentials(self) -> frozenset[str]:
        """What a receiver may echo but no log may show: the longer parts of the values of headers and of the path."""
        parts = (part for text in (*self.headers.values(), self.address.target) for part in _PART.findall(text))
        return frozenset(part for part in parts if len(part) >= 8)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "address", Url.parse(self.url))
        except ValueError as error:
            raise InvalidDestination(f"{self.name}: {error}") from error
        if self.address.scheme == "http" and not self.allow_http:
            raise InvalidDestination(f"{self.name}: http needs allow_http = true")
        if self.timeout <= timedelta():
            raise InvalidDestination(f"{self.name}: the timeout has to be positive")
        if (wrong := bad_header(self.headers.items())) is not None:
            raise InvalidDestination(f"{self.name}: not a header: {wrong!r}")
        for secret in self.secrets:
            _check_secret(self.name, secret)


def bad_header(headers: Iterable[tuple[object, object]]) -> str | None:
    """The name of the first header that HTTP does not allow (say, a line break in its value); None if all are good."""
    for name, value in headers:
        good = isinstance(name, str) and isinstance(value, str)
        if not (good and _HEADER_NAME.fullmatch(str(name)) and _HEADER_VALUE.fullmatch(str(value))):
            return str(name)
    return None


def _check_secret(name: str, secret: str) -> None:
    try:
        Webhook(secret)
    except (ValueError, EmptyWebhookSecretError) as error:
        raise InvalidDestination(f"{name}: a secret is whsec_ and base64") from error
