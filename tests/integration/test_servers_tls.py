"""Redis behind TLS: whom we trust, who trusts us, and a certificate that is wrong from some moment on."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import which

import command_kit
import pipeline_kit
import pytest
from command_kit import Command
from delivery_kit import self_signed
from pipeline_kit import World, running
from traps_kit import SWEPT

from m10actors.embedded import EmbeddedServers
from m10actors.recovery.dependency import Condition
from m10actors.streams import RedisClient, RedisMisconfigured, StreamMonitor, StreamNames, StreamsError
from m10actors.testing.clusters import cluster
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.sentinels import sentinels
from m10actors.testing.servers import HOST, Certificates, RedisServer
from m10actors.testing.waiting import eventually

pytestmark = pytest.mark.needs("openssl")
m10 = command_kit.m10
world = pipeline_kit.world


@dataclass(frozen=True)
class Papers:
    """Certificates that sign themselves, each with its key: of the server, of one with another name, of a client."""

    server: Path
    another: Path
    client: Path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    made = (self_signed(folder / f"{name}.pem", san) for name, san in SANS.items())
    return Papers(*made)


SANS = {"server": "IP:127.0.0.1", "another": "DNS:another", "client": "DNS:client"}
Front = Callable[..., AbstractContextManager[str]]


@pytest.fixture(params=["a proxy", pytest.param("redis-server", marks=pytest.mark.needs("redis-server"))])
def front(request: pytest.FixtureRequest, servers: EmbeddedServers, papers: Papers, tmp_path: Path) -> Front:
    """Starts something that speaks TLS with a certificate; its URL. `asks`: it wants to see the client's."""

    @contextmanager
    def proxied(shown: Path, *, asks: bool = False) -> Iterator[str]:
        with FaultProxy(servers.start().valkey_socket, tls=context(shown, papers.client if asks else None)) as proxy:
            yield f"rediss://{HOST}:{proxy.address[1]}/0"  # type: ignore[index]

    @contextmanager
    def real(shown: Path, *, asks: bool = False) -> Iterator[str]:
        asked = ("--tls-auth-clients", "yes" if asks else "no")
        binary = which("redis-server")
        assert binary is not None
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(papers.client.read_bytes() + shown.read_bytes())
        tls = Certificates(trusted, shown, shown)
        with RedisServer(tmp_path / "server", *asked, binary=(binary,), tls=tls) as server:
            yield server.url

    return proxied if request.param == "a proxy" else real


def context(shown: Path, asked: Path | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(shown)
    if asked is not None:
        made.load_verify_locations(asked)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def ping(url: str) -> bytes:
    client = RedisClient(url, timeout=timedelta(seconds=5))
    try:
        return bytes(client.call("PING"))
    finally:
        client.close()


def test_a_certificate_of_the_named_authority_is_trusted(front: Front, papers: Papers) -> None:
    with front(papers.server) as url:
        assert ping(f"{url}?ssl_ca_certs={papers.server}") == b"PONG"


def test_one_that_nobody_vouches_for_is_a_matter_of_configuration(front: Front, papers: Papers) -> None:
    with front(papers.server) as url:
        for trusted in ("", f"?ssl_ca_certs={papers.client}"):
            with pytest.raises(RedisMisconfigured, match="TLS failed: the server's certificate is refused: self"):
                ping(url + trusted)
        assert ping(f"{url}?ssl_cert_reqs=none") == b"PONG"


def test_one_for_another_name_is_refused_unless_names_are_not_looked_at(front: Front, papers: Papers) -> None:
    with front(papers.another) as url:
        with pytest.raises(RedisMisconfigured, match="IP address mismatch"):
            ping(f"{url}?ssl_ca_certs={papers.another}")
        assert ping(f"{url}?ssl_ca_certs={papers.another}&ssl_check_hostname=false") == b"PONG"


def test_a_server_that_asks_for_ours_gets_it(front: Front, papers: Papers) -> None:
    with front(papers.server, asks=True) as url:
        trusted = f"{url}?ssl_ca_certs={papers.server}"
        with pytest.raises(StreamsError):  # it says why, or only closes the connection
            ping(trusted)
        assert ping(f"{trusted}&ssl_certfile={papers.client}") == b"PONG"


@pytest.mark.needs("redis-server")
def test_sentinels_and_clusters_are_reached_over_tls_and_checked(papers: Papers, tmp_path: Path) -> None:
    tls = Certificates(papers.server, papers.server, papers.server)
    binary = (which("redis-server") or "",)
    ours = f"?ssl_certfile={papers.server}"
    with sentinels(tmp_path / "sentinels", binary=binary, tls=tls, replicas=0) as watched:
        assert ping(f"{watched.url}{ours}&ssl_ca_certs={papers.server}") == b"PONG"
        with pytest.raises(RedisMisconfigured, match="a Sentinel does not let us in: TLS failed"):
            ping(watched.url + ours)
    with cluster(tmp_path / "cluster", binary=binary, tls=tls, nodes=2) as nodes:
        client = RedisClient(f"{nodes.url}{ours}&ssl_ca_certs={papers.server}", timeout=timedelta(seconds=5))
        monitor = StreamMonitor(client, StreamNames().tagged("m10"))
        try:
            slot = nodes.slot("{m10}")
            assert monitor.probe() > 0
            nodes.begin_move(slot, next(node for node in nodes.nodes if node is not nodes.owner(slot)))
            assert monitor.incarnation()  # ASK
        finally:
            client.close()


def test_a_certificate_that_is_wrong_from_some_moment_on_is_named_and_loses_nothing(
    world: World, papers: Papers
) -> None:
    upstream = world.servers.start().valkey_socket
    with ExitStack() as undo:
        good = FaultProxy(upstream, tls=context(papers.server))
        host, port = good.start()  # type: ignore[misc]
        url = f"rediss://{host}:{port}/0?ssl_ca_certs={papers.server}"
        engine = undo.enter_context(running(world, **SWEPT, redis__url=url))
        engine.ingest([1])
        world.settled(1)
        good.stop()
        with FaultProxy(upstream, (host, port), tls=context(papers.another)):
            eventually(lambda: "certificate is refused" in engine.parts.redis.health.reason)
            engine.ingest([2])
            world.settled(2)
        undo.enter_context(FaultProxy(upstream, (host, port), tls=context(papers.server)))
        eventually(lambda: engine.parts.redis.health.condition is Condition.UP)
        engine.ingest([3])
        world.sound(3)


def test_m10_run_does_not_begin_with_a_server_that_it_cannot_trust(
    m10: Command, database: MigratedDatabase, servers: EmbeddedServers, papers: Papers, tmp_path: Path
) -> None:
    with FaultProxy(servers.start().valkey_socket, tls=context(papers.server)) as proxy:
        url = f"rediss://{HOST}:{proxy.address[1]}/0"  # type: ignore[index]
        ended = m10("run", DATABASE_URL=database.url("app"), REDIS_URL=url, M10_RUN_DIR=str(tmp_path / "run"))
    assert ended.code == 2
    assert "cannot be used: TLS failed: the server's certificate is refused" in ended.err
