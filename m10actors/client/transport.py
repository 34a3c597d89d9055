"""Where failures go: an API at `http(s)://…`, or the database itself at `postgresql://…`. Either stores each key once,
so that sending a line again is always right.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from m10actors import logs
from m10actors.client.items import Lines
from m10actors.client.results import Outcome

_HTTP = {"http", "https"}
_POSTGRES = {"postgresql", "postgres"}


@dataclass(frozen=True, slots=True)
class Server:
    """An address that has been checked. `name` is without secrets; `timeout` is in seconds, for each phase of a
    request; `ca_file` has the authorities that are trusted in the place of the system's.
    """

    url: str = field(repr=False)
    token: str | None = field(repr=False)
    timeout: float
    name: str
    ca_file: Path | None = None

    @property
    def is_database(self) -> bool:
        return urlsplit(self.url).scheme in _POSTGRES


class Transport(Protocol):
    """Blocking; safe to use from many threads."""

    def send(self, lines: Lines) -> list[Outcome]:
        """An outcome for each line, in order; ClientError if there are none."""

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """The same for one event loop."""

    async def send(self, lines: Lines) -> list[Outcome]: ...

    async def close(self) -> None: ...


def server_at(url: str, token: str | None, timeout: float, ca_file: str | Path | None = None) -> Server:
    """ValueError for an address of another form, which is not repeated: it may hold a password."""
    form = "expected an address like https://HOST:PORT or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        raise ValueError(f"url: {form}") from None
    if split.scheme not in _HTTP | _POSTGRES:
        raise ValueError(f"url: {form}, not another scheme")
    if split.scheme in _HTTP and (not split.hostname or "@" in split.netloc or split.query or split.fragment):
        raise ValueError(f"url: {form}, with a host and without user, query and fragment")
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise ValueError("token: expected printable ASCII without spaces around it")
    if split.scheme in _POSTGRES and token is not None:
        raise ValueError("token: a database takes none; who may report is decided by the user in the address")
    return Server(url.rstrip("/"), token, timeout, logs.redact(url.rstrip("/")), _authorities(ca_file, split.scheme))


def connect(server: Server) -> Transport:
    """Connects to nothing yet. What it needs is imported now, since most of it takes longer than a client may."""
    if server.is_database:
        from m10actors.client.database import DatabaseTransport

        return DatabaseTransport(server)
    from m10actors.client.http import HttpTransport

    return HttpTransport(server)


def connect_async(server: Server) -> AsyncTransport:
    """As `connect`, for the running event loop."""
    if server.is_database:
        from m10actors.client.database import AsyncDatabaseTransport

        return AsyncDatabaseTransport(server)
    from m10actors.client.http import AsyncHttpTransport

    return AsyncHttpTransport(server)


def _authorities(ca_file: str | Path | None, scheme: str) -> Path | None:
    if ca_file is None:
        return None
    if scheme != "https":
        raise ValueError("ca_file: goes with an https address; one of PostgreSQL has sslrootcert")
    path = Path(ca_file)
    try:
        ssl.create_default_context(cafile=path)
    except OSError:  # an SSLError is one
        raise ValueError(f"ca_file: expected a readable file of PEM certificates, not {path}") from None
    return path
