"""What pykka does, row by row of what the base actor is designed around; an upgrade that changes one fails here."""

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pykka
import pykka.debug
import pytest

from m10actors.testing.waiting import eventually


class Plain(pykka.ThreadingActor):
    """Calls what it is told to call, in its own thread."""

    use_daemon_thread = True

    def __init__(self, **hooks: Any) -> None:
        super().__init__()
        self.hooks = hooks
        self.calls: list[str] = hooks.setdefault("calls", [])

    def on_start(self) -> None:
        self._run("on_start")

    def on_stop(self) -> None:
        self._run("on_stop")

    def on_failure(self, *_: Any) -> None:
        self._run("on_failure")

    def on_receive(self, message: Any) -> Any:
        return message() if callable(message) else message

    def _run(self, hook: str) -> None:
        self.calls.append(hook)
        self.hooks.get(hook, lambda: None)()


@pytest.fixture(autouse=True)
def all_actors_stopped() -> Iterator[None]:
    logging.getLogger("pykka").setLevel(logging.CRITICAL + 1)
    yield
    pykka.ActorRegistry.stop_all(timeout=10)
    logging.getLogger("pykka").setLevel(logging.NOTSET)


def fail(error: BaseException) -> Any:
    def raise_it() -> None:
        raise error

    return raise_it


def dead(ref: pykka.ActorRef[Any]) -> None:
    eventually(lambda: not ref.is_alive())


def test_row_1_a_reference_of_an_ended_actor_never_reaches_its_successor() -> None:
    old = Plain.start()
    old.stop()
    new = Plain.start()
    assert new.actor_urn != old.actor_urn
    with pytest.raises(pykka.ActorDeadError):
        old.tell("hello")


def test_row_2_an_exception_on_ask_goes_to_the_caller_and_leaves_the_actor_running() -> None:
    ref = Plain.start()
    with pytest.raises(ValueError, match="asked"):
        ref.ask(fail(ValueError("asked")), timeout=10)
    assert ref.ask("still here", timeout=10) == "still here"
    ref.tell(fail(ValueError("told")))
    dead(ref)


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_row_3_a_failing_hook_stops_the_actor_and_runs_no_further_hook(hook: str) -> None:
    calls: list[str] = []
    ref = Plain.start(calls=calls, **{hook: fail(ValueError("hook"))})
    if hook == "on_stop":
        ref.stop()
    dead(ref)
    eventually(lambda: calls == ["on_start", "on_stop"][: 1 if hook == "on_start" else 2])
    assert "on_failure" not in calls


def test_row_4_start_returns_before_on_start_has_run() -> None:
    go = threading.Event()
    ref = Plain.start(on_start=lambda: go.wait(10))
    assert ref.is_alive()
    go.set()


@pytest.mark.parametrize(("hook", "message"), [("on_stop", None), ("on_failure", fail(ValueError("told")))])
def test_row_5_an_actor_is_not_alive_while_its_last_hook_still_runs(hook: str, message: Any) -> None:
    go, entered = threading.Event(), threading.Event()

    def last_hook() -> None:
        entered.set()
        go.wait(10)

    ref = Plain.start(**{hook: last_hook})
    thread = ref.ask(threading.current_thread, timeout=10)
    ref.tell(message) if message else ref.stop(block=False)
    assert entered.wait(10)
    assert not ref.is_alive()
    assert thread.is_alive()
    go.set()
    thread.join(10)


def test_row_6_stop_waits_behind_the_inbox_and_leaves_a_busy_actor_running() -> None:
    go = threading.Event()
    ref = Plain.start()
    ref.tell(lambda: go.wait(10))
    with pytest.raises(pykka.Timeout):
        ref.stop(timeout=0.01)
    assert ref.is_alive()
    go.set()
    dead(ref)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_row_7_a_base_exception_in_one_actor_stops_all(error: type[BaseException]) -> None:
    one, other = Plain.start(), Plain.start()
    one.tell(fail(error()))
    dead(one)
    dead(other)


def test_row_7_a_base_exception_on_ask_is_never_answered() -> None:
    ref = Plain.start()
    answer = ref.ask(fail(SystemExit()), block=False)
    dead(ref)
    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0.05)


def test_row_8_what_was_told_to_a_dying_actor_is_dropped_and_what_was_asked_is_refused() -> None:
    go, seen = threading.Event(), []
    ref = Plain.start()
    ref.tell(lambda: go.wait(10))
    ref.tell(fail(ValueError("told")))
    ref.tell(lambda: seen.append("told"))
    answer = ref.ask("asked", block=False)
    go.set()
    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=10)
    assert seen == []


def test_row_9_a_question_put_after_the_end_is_never_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = Plain.start()
    thread = ref.ask(threading.current_thread, timeout=10)
    ref.stop()
    thread.join(10)
    monkeypatch.setattr(ref, "is_alive", lambda: True)  # as when it ends between this look and the put
    with pytest.raises(pykka.Timeout):
        ref.ask("anybody?", timeout=0.05)


def test_row_10_an_actor_started_by_another_outlives_it() -> None:
    parent = Plain.start()
    started = parent.ask(Plain.start, timeout=10)
    parent.stop()
    assert started.ask("alone", timeout=10) == "alone"


def test_row_11_there_are_no_timers() -> None:
    public = [name for thing in (pykka, pykka.ThreadingActor, pykka.ActorRef) for name in dir(thing) if name[0] != "_"]
    assert not [
        name for name in public if any(word in name.lower() for word in ("timer", "schedule", "later", "after"))
    ]


def test_row_12_a_bounded_inbox_blocks_who_tells() -> None:
    class Bounded(Plain):
        @staticmethod
        def _create_actor_inbox() -> "queue.Queue[Any]":
            return queue.Queue(maxsize=1)

    go, busy = threading.Event(), threading.Event()
    ref = Bounded.start()
    ref.tell(lambda: (busy.set(), go.wait(10)))
    assert busy.wait(10)
    ref.tell("fills it")
    sender = threading.Thread(target=ref.tell, args=("waits",))
    sender.start()
    sender.join(0.05)
    assert sender.is_alive()
    go.set()
    sender.join(10)


def test_row_13_the_registry_holds_every_actor_of_the_process() -> None:
    ref = Plain.start()
    assert ref in pykka.ActorRegistry.get_all()
    ref.stop()
    assert ref not in pykka.ActorRegistry.get_all()


def test_row_14_the_stacks_of_all_threads_can_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
    pykka.debug.log_thread_tracebacks()
    assert "MainThread" in caplog.text


def test_the_inbox_can_be_replaced_through_the_seam_for_implementors() -> None:
    class Simple(Plain):
        @staticmethod
        def _create_actor_inbox() -> "queue.SimpleQueue[Any]":
            return queue.SimpleQueue()

    ref = Simple.start()
    assert isinstance(ref.actor_inbox, queue.SimpleQueue)
    assert ref.ask("hello", timeout=10) == "hello"


def test_setting_actor_stopped_ends_the_loop_after_the_message() -> None:
    """The base actor ends by it after a crash on a question, which pykka would let pass (row 2)."""
    ref = Plain.start()
    thread = ref.ask(threading.current_thread, timeout=10)
    ref.ask(ref.actor_stopped.set, timeout=10)
    thread.join(10)
    assert not thread.is_alive()
    assert ref in pykka.ActorRegistry.get_all()
    pykka.ActorRegistry.unregister(ref)


def test_unregistering_twice_is_allowed() -> None:
    ref = Plain.start()
    ref.stop()
    pykka.ActorRegistry.unregister(ref)
