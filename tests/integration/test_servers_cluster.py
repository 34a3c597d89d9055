"""A Redis Cluster: all keys share a slot, and the slot moves from one node to another while work goes on."""

from collections.abc import Iterator
from datetime import timedelta

import pipeline_kit
import pytest
from pipeline_kit import World, feed, in_background, running
from streams_kit import AT_ONCE, NAMES, NOON, OPERATIONS, Sides, sides_of
from traps_kit import EAGER, SWEPT

from m10actors.recovery.dependency import Condition
from m10actors.streams import BadEntry, Cause, DeadLetter, Entry, RedisUnavailable, StreamStateLost
from m10actors.testing.clusters import Cluster, cluster
from m10actors.testing.servers import HOST, RedisServer, free_port
from m10actors.testing.waiting import eventually

pytestmark = [pytest.mark.redis, pytest.mark.three_node_cluster]
world = pipeline_kit.world
COUNT = 60
TAGGED = NAMES.tagged("m10")
LETTER = DeadLetter("uuid", "1:1", "poison", NOON)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), nodes=3) as found:
        yield found


@pytest.fixture
def nodes(three: Cluster) -> Cluster:
    """Empty."""
    for node in three.nodes:
        with node.client() as client:
            client.flushall()
    return three


@pytest.fixture
def sides(nodes: Cluster) -> Iterator[Sides]:
    with sides_of(nodes.url, names=TAGGED) as found:
        found.queue.ensure_group()
        yield found


def another(nodes: Cluster, slot: int) -> RedisServer:
    owner = nodes.owner(slot)
    return next(node for node in nodes.nodes if node is not owner)


def reads_from(node: RedisServer) -> bool:
    with node.client() as client:
        return any(each["cmd"] == "xreadgroup" for each in client.client_list())


def length(node: RedisServer) -> int:
    with node.client() as client:
        client.execute_command("READONLY")
        return int(client.xlen(TAGGED.stream))


def test_a_slot_that_moves_under_load_loses_nothing(world: World, nodes: Cluster) -> None:
    slot = nodes.slot(TAGGED.stream)
    with running(world, **EAGER, **SWEPT, redis__url=nodes.url, redis__hash_tag="m10") as engine:
        for round_ in (1, 2):
            done = world.stores().evaluated
            feeder = feed(engine, round_ * COUNT)
            eventually(lambda: world.stores().evaluated > done)  # noqa: B023
            goal = another(nodes, slot)
            nodes.begin_move(slot, goal)
            while nodes.move_keys(slot, goal, 1):
                world.stores()  # some keys are here and some are there, for a moment
            nodes.end_move(slot, goal)
            feeder.join(30)
            world.sound(round_ * COUNT)
            eventually(lambda: engine.parts.redis.health.condition is Condition.UP)
            with goal.client() as client:
                assert client.exists(TAGGED.incarnation)
        assert set(engine.restarts().values()) == {0}


def test_each_operation_finds_a_slot_that_has_moved(sides: Sides, nodes: Cluster) -> None:
    slot = nodes.slot(TAGGED.stream)
    sides.queue.dead_letter(LETTER, {}, None)  # now all keys are there
    for operation in OPERATIONS.values():
        goal = another(nodes, slot)
        nodes.begin_move(slot, goal)
        nodes.move_keys(slot, goal)
        operation(sides)  # ASK
        nodes.move_keys(slot, goal)
        nodes.end_move(slot, goal)
        operation(sides)  # MOVED


def test_entries_are_read_finished_and_given_up_where_they_went(sides: Sides, nodes: Cluster) -> None:
    slot = nodes.slot(TAGGED.stream)
    sides.add(*range(1, 7))
    goal = another(nodes, slot)
    nodes.begin_move(slot, goal)
    [first, *_] = sides.queue.read(2, AT_ONCE)
    nodes.move_keys(slot, goal)
    sides.add(7, 8)
    read = [first, *sides.queue.read(10, AT_ONCE)]
    sides.queue.finish([entry.entry_id for entry in read])
    nodes.end_move(slot, goal)
    sides.queue.finish([entry.entry_id for entry in sides.queue.read_own_pending((), 10)])
    assert (sides.monitor.stats().length, length(goal)) == (0, 0)


def test_a_step_over_keys_that_lie_on_two_nodes_is_an_outage_and_takes_no_effect(sides: Sides, nodes: Cluster) -> None:
    """TRYAGAIN: the dead letter of record is in PostgreSQL, and its entry comes again."""
    slot = nodes.slot(TAGGED.stream)
    goal = another(nodes, slot)
    sides.add(1)
    [entry] = sides.queue.read(1, AT_ONCE)
    nodes.begin_move(slot, goal)
    with nodes.owner(slot).client() as source:
        source.execute_command("MIGRATE", HOST, goal.port, TAGGED.stream, 0, 5000)
    try:
        with pytest.raises(RedisUnavailable) as caught:
            sides.queue.dead_letter(LETTER, {}, entry.entry_id)
        assert caught.value.cause is Cause.CLUSTERDOWN
        assert sides.monitor.stats().pending == 1
    finally:
        nodes.move_keys(slot, goal)
        nodes.end_move(slot, goal)
    sides.queue.dead_letter(LETTER, {}, entry.entry_id)
    assert len(sides.dead_letters.page(10)) == 1
    assert sides.monitor.stats().pending == 0


def test_a_waiting_read_ends_when_its_stream_moves_and_the_next_one_waits_there(sides: Sides, nodes: Cluster) -> None:
    """To a waiting reader the stream is gone: the group is looked for, and found."""
    slot = nodes.slot(TAGGED.stream)
    goal = another(nodes, slot)
    got: list[Entry | BadEntry] = []
    made: list[bool] = []

    def wait_for_one() -> None:
        while not got:
            try:
                got.extend(sides.queue.read(1, timedelta(seconds=20)))
            except StreamStateLost:
                made.append(sides.queue.ensure_group())

    reader = in_background(wait_for_one)
    eventually(lambda: reads_from(nodes.owner(slot)))
    nodes.begin_move(slot, goal)
    nodes.move_keys(slot, goal)
    nodes.end_move(slot, goal)
    eventually(lambda: reads_from(goal))
    sides.add(1)
    reader.join(20)
    assert len(got) == 1
    assert True not in made


def test_a_node_of_the_address_that_is_away_is_passed_over(nodes: Cluster) -> None:
    hosts = nodes.url.partition("//")[2]
    with sides_of(f"redis+cluster://{HOST}:{free_port()},{hosts}", names=TAGGED) as sides:
        with pytest.raises(RedisUnavailable):
            sides.monitor.probe()
        assert sides.monitor.probe() > 0


def test_one_server_of_a_cluster_is_not_followed_and_says_so(nodes: Cluster) -> None:
    slot = nodes.slot(TAGGED.stream)
    wrong = another(nodes, slot)
    with sides_of(wrong.url, names=TAGGED) as sides, pytest.raises(RedisUnavailable) as caught:
        sides.monitor.probe()
    assert caught.value.cause is Cause.MOVED
