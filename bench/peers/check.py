"""`python -m bench.peers.check`: whether what the handlers of the peers write is what the engine writes, without any
queue and without an environment of its own. An AssertionError names the columns.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.stage import Stage
from bench.w2_effect import EFFECTS, DurableEffect
from bench.written import check_written

MESSAGES = 20


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
        effect = DurableEffect(stage, MESSAGES / EFFECTS)
        effect.engine()
        os.environ["M10_BENCH_POSTGRES"] = stage.postgres_url("postgres")
        os.environ["M10_BENCH_REDIS"] = stage.redis_url
        os.environ["M10_BENCH_COUNT"] = str(MESSAGES)
        for handle in handlers():
            handle([*stage.due(MESSAGES)] * 2)  # each comes twice
            check_written(stage, MESSAGES, effect.written)
            stage.forget(events=MESSAGES)
    print("the same rows")


def handlers() -> Iterator[Callable[[Sequence[int]], None]]:
    """Each takes the candidates of some messages."""
    from bench.peers import work  # reads the environment

    def blocking(numbers: Sequence[int]) -> None:
        for number in numbers:
            work.handle("W2", number)

    async def one_by_one(numbers: Sequence[int]) -> None:
        pool = work.Pool(1)
        for number in numbers:
            await pool.handle("W2", number)
        await pool.close()

    async def together(numbers: Sequence[int]) -> None:
        pool = work.Pool(1)
        await pool.handle_together([("W2", number) for number in numbers])
        await pool.close()

    yield blocking
    yield lambda numbers: asyncio.run(one_by_one(numbers))
    yield lambda numbers: asyncio.run(together(numbers))


if __name__ == "__main__":
    main()
