"""W3, arrival: 200 messages a second into an idle system, from the moment that each is sent until a claim worker has
it.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import redis

from bench.evaluators import arrivals
from bench.stage import NoPredecessors, Nothing, Stage, doing
from bench.w3_latency import FEWEST, RATE, SECONDS, sent
from m10actors.actors.messages import STREAM_READER, Demand, Entries
from m10actors.application.tree import tree
from m10actors.streams import StreamQueue
from m10actors.supervision import Actor, ChildSpec, Link, SupervisorSpec
from m10actors.supervisor import start_tree

WORKERS = ("claim_worker.", "spare_worker.")


class Arrival:
    """The engine, in whose claim workers' place somebody stands who only looks at the clock; by hand: one loop that
    reads the message. Nobody asks PostgreSQL.
    """

    figures = (("W3 arrival at a worker at 200/s, p50", "ms"), ("W3 arrival at a worker at 200/s, p99", "ms"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = max(FEWEST, int(RATE * SECONDS * scale))

    def ours(self) -> Sequence[float]:
        parts = self._stage.parts
        queue = parts.queue()
        whole = tree(parts, Nothing.start, NoPredecessors())
        running = start_tree(_with_lookers(whole, queue))
        try:
            while not doing(running.snapshot(), "stream_reader").startswith("waiting"):
                time.sleep(0.002)
            return sent(self._stage, range(1, self._count + 1))
        finally:
            running.stop(10)
            queue.close()

    def by_hand(self) -> Sequence[float]:
        with self._reading():
            return sent(self._stage, range(1, self._count + 1))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        ended = threading.Event()

        def loop() -> None:
            names = self._stage.parts.names
            with redis.Redis.from_url(self._stage.redis_url) as client:
                while not ended.is_set():
                    answer = client.xreadgroup(names.group, "by hand", {names.stream: ">"}, count=500, block=100)
                    for entry_id, fields in answer[0][1] if answer else ():
                        arrivals.setdefault(int(fields[b"candidate_id"]), time.monotonic())
                        client.xack(names.stream, names.group, entry_id)
                        client.xdel(names.stream, entry_id)

        thread = threading.Thread(target=loop, name="by hand")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class _Looker(Actor):
    """Asks for entries as a claim worker does, and looks at the clock when they come."""

    def __init__(self, link: Link, queue: StreamQueue) -> None:
        super().__init__(link)
        self._queue = queue

    def on_begin(self) -> None:
        self._ask(frozenset())

    def on_message(self, message: object) -> None:
        if isinstance(message, Entries):
            now = time.monotonic()
            for entry in message.entries:
                arrivals.setdefault(entry.candidate_id, now)
            ids = [entry.entry_id for entry in message.entries]
            self._queue.finish(ids)
            self._ask(frozenset(ids))

    def _ask(self, dealt_with: frozenset[bytes]) -> None:
        self.tell_child(STREAM_READER, Demand(self.child_id, 50, dealt_with))


def _with_lookers(spec: SupervisorSpec, queue: StreamQueue) -> SupervisorSpec:
    children: list[ChildSpec | SupervisorSpec] = []
    for child in spec.children:
        match child:
            case SupervisorSpec():
                children.append(_with_lookers(child, queue))
            case ChildSpec(id=child_id) if child_id.startswith(WORKERS):
                looker = replace(child, start=lambda link: _Looker.start(link, queue), period=None)
                children.append(looker)
            case ChildSpec():
                children.append(child)
    return replace(spec, children=tuple(children))
