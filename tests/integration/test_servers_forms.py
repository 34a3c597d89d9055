"""Every form in which Redis is deployed: each operation of the queue, and the whole pipeline."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pipeline_kit
import pytest
from pipeline_kit import World, feed, running
from streams_kit import NAMES, OPERATIONS, sides_of
from traps_kit import EAGER, SWEPT

from m10actors.testing.clusters import cluster
from m10actors.testing.sentinels import sentinels
from m10actors.testing.servers import RedisServer
from m10actors.testing.waiting import eventually

pytestmark = pytest.mark.redis
world = pipeline_kit.world
COUNT = 30
TAG = "m10"


@contextmanager
def one_server(folder: Path) -> Iterator[str]:
    with RedisServer(folder) as server:
        yield server.url


@contextmanager
def behind_sentinels(folder: Path) -> Iterator[str]:
    with sentinels(folder) as found:
        yield found.url


def cluster_of(nodes: int) -> Callable[[Path], AbstractContextManager[str]]:
    @contextmanager
    def started(folder: Path) -> Iterator[str]:
        with cluster(folder, nodes=nodes) as found:
            yield found.url

    return started


FORMS = [
    pytest.param(one_server, id="one server"),
    pytest.param(behind_sentinels, id="Sentinel", marks=pytest.mark.sentinel),
    pytest.param(cluster_of(1), id="Cluster of 1", marks=pytest.mark.one_node_cluster),
    pytest.param(cluster_of(3), id="Cluster of 3", marks=pytest.mark.three_node_cluster),
]


@pytest.mark.parametrize("form", FORMS)
def test_all_operations_and_the_whole_pipeline_work_on(
    form: Callable[[Path], AbstractContextManager[str]], world: World, tmp_path: Path
) -> None:
    with form(tmp_path / "redis") as url:
        with sides_of(url, names=NAMES.tagged("operations")) as sides:
            sides.queue.ensure_group()
            for operation in OPERATIONS.values():
                operation(sides)
        with running(world, **EAGER, **SWEPT, redis__url=url, redis__hash_tag=TAG) as engine:
            feed(engine, COUNT).join(30)
            world.sound(COUNT)
            names = NAMES.tagged(TAG)
            with sides_of(url, names=names) as sides:
                eventually(lambda: (sides.monitor.stats().length, sides.monitor.stats().pending) == (0, 0))
                told = sides.client.call("XINFO", "STREAM", names.stream)
                assert told[told.index(b"last-generated-id") + 1] != b"0-0"  # the work went through the stream
