"""Servers under the eyes of Sentinels, from any binary: for tests and campaigns."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from m10actors.testing.servers import HOST, PATIENCE, Certificates, RedisServer
from m10actors.testing.waiting import eventually


@dataclass(frozen=True, slots=True)
class SentinelSet:
    """Servers under the eyes of Sentinels."""

    service: str
    servers: list[RedisServer]
    sentinels: list[RedisServer]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"{self.servers[0].scheme}+sentinel://{hosts}/{self.service}/0"

    def primary(self) -> RedisServer:
        """The server that the Sentinels name, once all of them name the same one."""

        def agreed() -> RedisServer | None:
            named = {_primary_port(sentinel, self.service) for sentinel in self.sentinels}
            return next((server for server in self.servers if {server.port} == named), None)

        found = eventually(agreed, within=PATIENCE)
        assert found is not None
        return found


@contextmanager
def sentinels(
    folder: Path,
    *options: str | int,
    binary: Sequence[str] = (),
    tls: Certificates | None = None,
    replicas: int = 1,
    down_after_ms: int = 300,
    service: str = "m10",
) -> Iterator[SentinelSet]:
    """A primary with replicas that have its data, and three Sentinels that know of one another and of all."""
    with ExitStack() as undo:
        primary = undo.enter_context(RedisServer(folder / "server-0", *options, binary=binary, tls=tls))
        servers = [primary]
        for number in range(1, replicas + 1):
            follow = ("--replicaof", f"{HOST} {primary.port}", *options)
            servers.append(
                undo.enter_context(RedisServer(folder / f"server-{number}", *follow, binary=binary, tls=tls))
            )
        eventually(lambda: all(_follows(server) for server in servers[1:]), within=PATIENCE)
        watching = []
        for number in range(3):
            sentinel = RedisServer(folder / f"sentinel-{number}", binary=binary, tls=tls, mode="--sentinel")
            sentinel.folder.mkdir(parents=True)
            (sentinel.folder / "server.conf").write_text(
                f"sentinel monitor {service} {HOST} {primary.port} 2\n"
                f"sentinel down-after-milliseconds {service} {down_after_ms}\n"
                f"sentinel failover-timeout {service} 3000\n"
            )
            watching.append(undo.enter_context(sentinel))
        found = SentinelSet(service, servers, watching)
        eventually(lambda: all(_knows(each, service, replicas, 2) for each in watching), within=PATIENCE)
        yield found


def _follows(server: RedisServer) -> bool:
    with server.client() as client:
        found = client.info("replication")
    return bool(found["role"] == "slave" and found["master_link_status"] == "up")


def _knows(sentinel: RedisServer, service: str, replicas: int, others: int) -> bool:
    with sentinel.client() as client:
        found = client.sentinel_master(service)
    return bool(found["num-slaves"] == replicas and found["num-other-sentinels"] == others)


def _primary_port(sentinel: RedisServer, service: str) -> int:
    with sentinel.client() as client:
        return int(client.sentinel_get_master_addr_by_name(service)[1])
