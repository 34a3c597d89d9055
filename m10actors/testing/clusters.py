"""Clusters of one node or more, from any binary, whose slots can be moved: for tests and campaigns."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m10actors.testing.servers import HOST, PATIENCE, Certificates, RedisServer, free_port
from m10actors.testing.waiting import eventually

SLOTS = 16384


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes that share the slots."""

    nodes: list[RedisServer]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"{self.nodes[0].scheme}+cluster://{hosts}"

    def slot(self, key: str) -> int:
        with self.nodes[0].client() as client:
            return int(client.execute_command("CLUSTER", "KEYSLOT", key))

    def owner(self, slot: int) -> RedisServer:
        """The node that serves the slot, by its own word."""
        return next(node for node in self.nodes if _serves(node, slot))

    def begin_move(self, slot: int, goal: RedisServer) -> None:
        """From now on the owner says ASK for what is not there, or not there any more."""
        owner = self.owner(slot)
        with owner.client() as source, goal.client() as target:
            target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(source))
            source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(target))

    def move_keys(self, slot: int, goal: RedisServer, count: int = 1000) -> list[bytes]:
        """Up to `count` keys of the slot go over; which."""
        with self.owner(slot).client() as source:
            keys: list[bytes] = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, count)
            for key in keys:
                source.execute_command("MIGRATE", HOST, goal.port, key, 0, 5000)
            return keys

    def end_move(self, slot: int, goal: RedisServer) -> None:
        """The slot is the goal's: every node knows it when this returns."""
        with goal.client() as target:
            name = _id(target)
        for node in sorted(self.nodes, key=lambda node: node is not goal):  # it has to be the first to know
            with node.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)


@contextmanager
def cluster(
    folder: Path,
    *options: str | int,
    nodes: int = 1,
    binary: Sequence[str] = (),
    tls: Certificates | None = None,
) -> Iterator[Cluster]:
    """Nodes that know one another, each with its share of the slots."""
    with ExitStack() as undo:
        started: list[RedisServer] = []
        buses = [free_port() for _ in range(nodes)]
        for number, bus in enumerate(buses):
            own = ("--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", 2000, *options)
            own += ("--tls-cluster", "yes") if tls else ()
            started.append(undo.enter_context(RedisServer(folder / f"node-{number}", *own, binary=binary, tls=tls)))
        bounds = [SLOTS * number // nodes for number in range(nodes + 1)]
        for number, node in enumerate(started):
            with node.client() as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
                for other, bus in zip(started[:number], buses, strict=False):
                    client.execute_command("CLUSTER", "MEET", HOST, other.port, bus)
        eventually(lambda: all(_is_whole(node, nodes) for node in started), within=PATIENCE)
        yield Cluster(started)


def _id(client: Any) -> str:
    return str(client.execute_command("CLUSTER", "MYID"), "ascii")


def _is_whole(node: RedisServer, nodes: int) -> bool:
    with node.client() as client:
        info = client.execute_command("CLUSTER", "INFO").splitlines()
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % nodes in info


def _serves(node: RedisServer, slot: int) -> bool:
    with node.client() as client:
        for first, last, primary, *_ in client.execute_command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return bool(primary[1] == node.port)
    return False
