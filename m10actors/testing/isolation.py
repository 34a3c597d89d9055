"""What a dead destination costs a healthy one: `python -m m10actors.testing.isolation`, with servers of its own.

The whole delivery runs, from the commit of an event to the receiver: in turn with the healthy destination alone and
beside a black hole that takes connections and never answers, with as many events. Prints the healthy one's latencies
and the ratio of the 99th percentiles; exit code 1 if it is above the limit.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from m10actors import config, logs
from m10actors.actors.messages import OUTBOX_LEADER, Wake
from m10actors.application.parts import Parts
from m10actors.application.tree import tree
from m10actors.embedded import EmbeddedServers
from m10actors.embedded.servers import Addresses
from m10actors.instance import new_worker_id
from m10actors.postgres.migrate import create_database, migrate
from m10actors.shipped import shipped
from m10actors.supervision import Actor
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.receiver import Receiver, Request
from m10actors.testing.waiting import eventually

LIMIT = 1.2
DATABASE = "isolation"
PUBLISH = """
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination)
VALUES ('isolation', gen_random_uuid()::text, 'webhook:x', %s::jsonb, %s)
"""


class _Nothing(Actor):
    """Stands where the HTTP endpoint stands."""


class _NoPredecessors:
    def take_over(self) -> tuple[str, ...]:
        return ()

    def forget(self) -> None:
        """Nothing to forget."""


class Stopwatch:
    """Told of each delivery by the receiver: seconds since its event was published."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, request: Request, _taken: int) -> None:
        self.seconds.append(time.monotonic() - json.loads(request.body)["at"])

    def lap(self, count: int) -> list[float]:
        """The next `count` deliveries, once they are there."""
        eventually(lambda: len(self.seconds) >= count, within=60.0)
        lap, self.seconds = self.seconds, []
        return lap


def measure(rate: float, seconds: float, timeout: str, rounds: int) -> tuple[list[float], list[float]]:
    """The latencies of the healthy destination alone, and beside the black hole, in turn, so that both meet the same
    weather. `rate`: events a second for each.
    """
    watch = Stopwatch()
    with ExitStack() as stack:
        servers = EmbeddedServers(Path(stack.enter_context(TemporaryDirectory())))
        stack.callback(servers.stop)
        addresses = servers.start()
        receiver = stack.enter_context(Receiver(on_delivery=watch))
        hole = stack.enter_context(FaultProxy(("127.0.0.1", 9)))
        hole.dark()
        assert not isinstance(hole.address, Path), "it listens on TCP"
        dead = "http://{}:{}/".format(*hole.address)
        engine = stack.enter_context(_engine(addresses, receiver.url, dead, timeout))
        watch.lap(_publish(addresses, engine, ["healthy"], rate, 1.0))  # connections are made, plans are cached
        alone, beside = [], []
        for _ in range(rounds):
            alone += watch.lap(_publish(addresses, engine, ["healthy"], rate, seconds))
            beside += watch.lap(_publish(addresses, engine, ["dead", "healthy"], rate, seconds))
            _forget(addresses)
        return sorted(alone), sorted(beside)


@contextmanager
def _engine(addresses: Addresses, healthy: str, dead: str, timeout: str) -> Iterator[Tree]:
    create_database(addresses.postgres_superuser_url, DATABASE)
    migrate(addresses.postgres_url("postgres", DATABASE), shipped("schema"))
    settings: dict[str, object] = {"redis.url": addresses.redis_url, "outbox.http_timeout": timeout}
    settings["tree.http_endpoint.stall_after"] = "1h"  # nobody is in its place, who could show a sign
    for role, key in (("app", "url"), ("ops", "ops_url"), ("metrics", "metrics_url")):
        settings[f"database.{key}"] = addresses.postgres_url(f"m10_{role}", DATABASE)
    for name, url in (("healthy", healthy), ("dead", dead)):
        settings[f"destinations.{name}.url"] = url
        settings[f"destinations.{name}.allow_http"] = True
        settings[f"destinations.{name}.allow_networks"] = ["127.0.0.0/8"]
    parts = Parts.of(config.load(None, {}, settings).settings, new_worker_id())
    parts.open()
    try:
        parts.first_contact()
        running = start_tree(tree(parts, _Nothing.start, _NoPredecessors()))
        try:
            yield running
        finally:
            running.stop(10.0)
    finally:
        parts.close()


def _publish(addresses: Addresses, engine: Tree, destinations: list[str], rate: float, seconds: float) -> int:
    """An event for each of `destinations`, `rate` times a second; how often."""
    count = int(rate * seconds)
    began = time.monotonic()
    with psycopg.connect(addresses.postgres_url("postgres", DATABASE), autocommit=True) as connection:
        for number in range(count):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            for destination in destinations:
                payload = json.dumps({"data": {"at": time.monotonic()}})
                connection.execute(PUBLISH, [payload, destination])
            engine.tell(OUTBOX_LEADER, Wake())
    return count


def _forget(addresses: Addresses) -> None:
    """What waits for the black hole, so that the next part begins without it."""
    with psycopg.connect(addresses.postgres_url("postgres", DATABASE), autocommit=True) as connection:
        connection.execute("DELETE FROM m10_recovery.outbox WHERE destination = 'dead'")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What a dead destination costs a healthy one.")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second for each destination")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each part")
    parser.add_argument("--rounds", type=int, default=4, help="how often, in turn, alone and beside the black hole")
    parser.add_argument("--timeout", default="5s", help="deadline of an attempt")
    given: Any = parser.parse_args(arguments)
    logs.setup("error", "auto")
    alone, beside = measure(given.rate, given.seconds, given.timeout, given.rounds)
    for name, found in (("alone", alone), ("beside a black hole", beside)):
        p50, p99 = (1000 * _quantile(found, part) for part in (0.5, 0.99))
        sys.stdout.write(f"{name:20} {len(found)} events, p50 {p50:.1f} ms, p99 {p99:.1f} ms\n")
    ratio = _quantile(beside, 0.99) / _quantile(alone, 0.99)
    sys.stdout.write(f"ratio of p99: {ratio:.2f}, limit {LIMIT}\n")
    return int(ratio > LIMIT)


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


if __name__ == "__main__":
    sys.exit(main())
