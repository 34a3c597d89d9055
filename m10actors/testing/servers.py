"""A Redis or Valkey server from any binary, with TLS where the binary has it: for tests and campaigns.

On a free port of loopback, in a folder of the caller's. `testing/sentinels.py` and `testing/clusters.py` make sets of
them. Each is a context manager, and no server outlives it.
"""

import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from m10actors.embedded.process import ServerProcess, launch
from m10actors.testing.stores import redis_command
from m10actors.testing.waiting import eventually

HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds that a server has to come up or to end."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of a server that speaks TLS (PEM): whom it trusts, itself among them, what it shows, and the key."""

    authority: Path
    certificate: Path
    key: Path


class RedisServer:
    """One server of any binary, on a port of loopback; it keeps port and data over `kill` and `start`."""

    def __init__(
        self,
        folder: Path,
        *options: str | int,
        binary: Sequence[str] = (),
        tls: Certificates | None = None,
        mode: str = "",
    ) -> None:
        """`options`: settings as on a command line. `mode`: `--sentinel` for one, which then needs its file."""
        self.folder = folder
        self.port = free_port()
        self.tls = tls
        self._command = list(binary or redis_command())
        self._options = [str(option) for option in options]
        self._mode = mode
        self._process: ServerProcess | None = None

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def scheme(self) -> str:
        return "rediss" if self.tls else "redis"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/0"

    def client(self, **options: Any) -> Any:
        """redis-py's own, which repeats nothing; to look and to meddle."""
        if self.tls:
            options |= {"ssl": True, "ssl_cert_reqs": "none"}  # on loopback, and not what is tested
            options |= {"ssl_certfile": str(self.tls.certificate), "ssl_keyfile": str(self.tls.key)}
        return redis.Redis(HOST, self.port, retry=Retry(NoBackoff(), 0), socket_timeout=5, **options)

    def start(self, *options: str) -> None:
        """Comes up, and answers; with `options` beside its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = launch([*self._line(), *options], self.folder, self.folder / "server.log")
        process = self._process

        def answers() -> bool:
            assert process.running, self.log()
            with suppress(redis.RedisError), self.client() as client:
                return bool(client.ping())
            return False

        with ExitStack() as undo:
            undo.callback(self.kill)
            eventually(answers, within=PATIENCE)
            undo.pop_all()

    def kill(self) -> None:
        """As `kill -9` does it; it is gone when this returns."""
        self._end(Signals.SIGKILL)

    def freeze(self) -> None:
        self._signal(Signals.SIGSTOP)

    def thaw(self) -> None:
        self._signal(Signals.SIGCONT)

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end(Signals.SIGKILL)

    def _line(self) -> list[str]:
        port = ["--port", "0", "--tls-port", str(self.port)] if self.tls else ["--port", str(self.port)]
        own = ["--bind", HOST, "--dir", str(self.folder), "--daemonize", "no"]
        if self.tls:
            own += ["--tls-ca-cert-file", str(self.tls.authority), "--tls-cert-file", str(self.tls.certificate)]
            own += ["--tls-key-file", str(self.tls.key), "--tls-replication", "yes"]
        if self._mode:
            return [*self._command, str(self.folder / "server.conf"), self._mode, *port, *own]
        return [*self._command, *port, *own, "--save", "", "--repl-diskless-sync-delay", "0", *self._options]

    def _signal(self, signal: Signals) -> None:
        assert self._process is not None, "start it first"
        self._process.signal(signal)

    def _end(self, signal: Signals) -> None:
        if self._process is not None:
            self._process.signal(signal)
            assert self._process.wait(PATIENCE), "a server does not end"
            self._process = None


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])
