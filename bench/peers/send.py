"""`python -m bench.peers.send MODULE KIND FIRST`: sends COUNT messages with that peer's client. Those of W3 go evenly,
and it prints when each went.
"""

import asyncio
import importlib
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.peers.work import COUNT

RATE = 200


def main(module: str, kind: str, first: int) -> None:
    peer = importlib.import_module(f"bench.peers.{module}")
    with asyncio.Runner() as runner:

        def call(function: Any, *given: object) -> None:
            result = function(*given)
            if inspect.isawaitable(result):
                runner.run(_finished(result))

        if hasattr(peer, "begin"):
            call(peer.begin)
        if kind == "W3":
            _evenly(lambda numbers: call(peer.send, kind, numbers))
        else:
            call(peer.send, kind, range(first, first + COUNT))


def _evenly(send: Callable[[Sequence[int]], object]) -> None:
    began = time.monotonic()
    for number in range(1, COUNT + 1):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        print(number, repr(time.monotonic()))
        send([number])


async def _finished(result: Any) -> None:
    await result


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
