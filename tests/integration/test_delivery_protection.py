"""A destination in trouble over real sockets: it is left alone, probed with real events, and delays nobody else."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from delivery_kit import deliverer, destination, event, proxy_before, url_of

from m10actors.delivery import Delivered, Gate, Held, Limits, Retry
from m10actors.delivery.breaker import Thresholds
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.receiver import Answer, Receiver
from m10actors.testing.waiting import eventually


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_receiver_that_is_down_is_left_alone_and_the_probe_is_a_real_event() -> None:
    clock = Clock()
    with Receiver(answer=lambda _: Answer(503)) as receiver:
        to_it = destination(receiver.url, limits=Limits(breaker=Thresholds(failures=3, pause=5.0)))
        with deliverer(to_it, gate=Gate(clock=clock)) as to:
            assert [to.deliver(event(id), 1).status for id in (1, 2, 3)] == [503] * 3  # type: ignore[union-attr]  # noqa: A001
            held = to.deliver(event(4), 1)
            assert isinstance(held, Held)
            assert (held.why, receiver.ledger.total) == ("breaker_open", 3)
            assert held.seconds >= 2
            receiver.answer = lambda _: Answer(200)
            clock.now = 5.0
            assert isinstance(to.deliver(event(5), 1), Delivered)
            assert isinstance(to.deliver(event(4), 1), Delivered)
            assert receiver.ledger.total == 5


def test_a_probe_that_fails_holds_the_others_back_for_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    clock = Clock()
    gate = Gate(clock=clock)
    with deliverer(destination(url, limits=Limits(breaker=Thresholds(failures=1, pause=5.0))), gate=gate) as to:
        assert to.deliver(event(1), 1) == Retry("network: ECONNREFUSED", counted=False)
        clock.now = 5.0
        assert to.deliver(event(1), 1) == Retry("network: ECONNREFUSED", counted=False)
        [condition] = to.conditions()
        assert (condition.breaker, condition.closed_seconds, gate.held()) == ("open", 10.0, {"ops": 10.0})


def test_what_is_known_of_a_destination_outlives_a_reload() -> None:
    gate = Gate(clock=Clock())
    with Receiver(answer=lambda _: Answer(500)) as receiver:
        to_it = destination(receiver.url, limits=Limits(breaker=Thresholds(failures=1)))
        with deliverer(to_it, gate=gate) as before:
            before.deliver(event(1), 1)
        with deliverer(to_it, gate=gate) as after:
            assert isinstance(after.deliver(event(1), 1), Held)
        assert receiver.ledger.total == 1


def test_no_more_than_its_concurrency_are_on_their_way_to_a_destination() -> None:
    release = threading.Event()

    def slow(_: object) -> Answer:
        release.wait(20)
        return Answer()

    with Receiver(answer=slow) as receiver, ThreadPoolExecutor(2) as workers:
        two = destination(receiver.url, limits=Limits(concurrency=2))
        with deliverer(two) as to:
            on_way = [workers.submit(to.deliver, event(id), 1) for id in (1, 2)]  # noqa: A001
            eventually(to.gate.held)
            held = to.deliver(event(3), 1)
            release.set()
            assert isinstance(held, Held)
            assert held.why == "busy"
            assert all(isinstance(each.result(), Delivered) for each in on_way)
            assert isinstance(to.deliver(event(3), 1), Delivered)


def test_black_holes_leave_a_worker_for_the_healthy_one() -> None:
    """Eight workers, two destinations that never answer, each allowed all eight."""
    wide = Limits(concurrency=8)
    with Receiver() as receiver, FaultProxy(("127.0.0.1", 9)) as hole, ThreadPoolExecutor(8) as workers:
        hole.dark()
        dark = [destination(url_of(hole), name=name, limits=wide) for name in ("dark", "darker")]
        with deliverer(*dark, destination(receiver.url), gate=Gate(workers=8)) as to:
            stuck = [
                workers.submit(to.deliver, event(id, to=("dark", "darker")[id % 2]), 1)
                for id in range(20)  # noqa: A001
            ]
            eventually(lambda: hole.accepted == 6)
            assert all(isinstance(to.deliver(event(id), 1), Delivered) for id in range(100, 130))  # noqa: A001
            hole.cut()
            held = [each.result() for each in stuck]
        assert {each.why for each in held if isinstance(each, Held)} == {"busy"}


def test_an_overloaded_receiver_gets_less_at_once_and_more_again_when_it_recovers() -> None:
    gate = Gate()
    with Receiver(answer=lambda _: Answer(429)) as receiver, proxy_before(receiver) as proxy:
        wide = destination(url_of(proxy), limits=Limits(concurrency=8))
        with deliverer(wide, gate=gate) as to:
            for id in range(3):  # noqa: A001
                to.deliver(event(id), 1)
            assert to.conditions()[0].concurrency == 1
            receiver.answer = lambda _: Answer()
            for id in range(40):  # noqa: A001
                to.deliver(event(id), 1)
            assert to.conditions()[0].concurrency == 8
