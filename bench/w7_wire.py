"""W7 on the wire: the whole engine delivers to nginx; the limit is a client in C that sends the same requests."""

import time
from collections.abc import Sequence

from bench.nginx import nginx, wrk
from bench.stage import Stage
from bench.w7_deliveries import publish
from m10actors.testing import account
from m10actors.testing.receiver import TAKEN, Answer, Request

DELIVERIES = 4_000
SECONDS = 2
_WRITTEN_BY_WRK = frozenset({"host", "content-length", "connection"})


class Wire:
    """Claimed, signed, sent, completed; by hand: wrk over as many connections, which signs nothing and stores nothing.

    CPU is that of the sending process, with all its threads.
    """

    figures = (("W7 deliveries to nginx", "deliveries/s"), ("W7 CPU of a delivery", "ms"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(DELIVERIES * scale)
        self._seconds = max(1, int(SECONDS * scale))
        self._folder = stage.folder / "nginx"

    def ours(self) -> Sequence[float]:
        with nginx(self._folder) as url, self._stage.configured({"destinations.receiver.url": url}):
            publish(self._stage, url, self._count)
            before = time.process_time()
            rate = self._stage.rate(self._count, lambda: account.is_settled(self._stage.parts.ops))
            spent = time.process_time() - before
        self._stage.forget(events=self._count)
        return [rate, 1000 * spent / self._count]

    def by_hand(self) -> Sequence[float]:
        sample = self._sample()
        headers = {name: value for name, value in sample.headers.items() if name.lower() not in _WRITTEN_BY_WRK}
        at_once = self._stage.parts.settings.outbox.max_concurrent_http
        with nginx(self._folder) as url:
            driven = wrk(self._folder, url, headers, sample.body, connections=at_once, seconds=self._seconds)
        return [driven.rate, 1000 * driven.cpu_seconds]

    def _sample(self) -> Request:
        """A delivery as a receiver gets it."""
        taken: list[Request] = []

        def keep(request: Request) -> Answer:
            taken.append(request)
            return TAKEN

        receiver = self._stage.receiver
        receiver.answer, usual = keep, receiver.answer
        publish(self._stage, receiver.url, 1)
        self._stage.rate(1, lambda: account.is_settled(self._stage.parts.ops))
        receiver.answer = usual
        self._stage.forget(events=1)
        return taken[0]
