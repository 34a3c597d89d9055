"""Many trees at once, started, hit and stopped from many threads; and what a tree keeps of messages nobody takes."""

import threading

import pykka
from supervisor_kit import FAST, Journal, Raise, child, no_thread_left, root, running, states

from m10actors.supervision import SupervisorSpec
from m10actors.supervisor import start_tree
from m10actors.testing.healing import MESSAGES_EACH
from m10actors.testing.healing import one_round as one_round_of_healing
from m10actors.testing.waiting import eventually

THREADS, ROUNDS = 10, 50
PG = frozenset({"postgres"})


def test_ten_threads_start_and_stop_fifty_trees_each() -> None:
    failures: list[BaseException] = []

    def rounds() -> None:
        try:
            for n in range(ROUNDS):
                one_round(n)
        except BaseException as error:  # noqa: BLE001 - the test reports it
            failures.append(error)

    with no_thread_left():
        threads = [threading.Thread(target=rounds) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert pykka.ActorRegistry.get_all() == []


def one_round(n: int) -> None:
    """What hits the tree while it is stopped differs from round to round."""
    journal = Journal()
    below = SupervisorSpec("below", (child(journal, "b"), child(journal, "c", needs=PG)), backoff=FAST)
    tree = start_tree(root(child(journal, "a"), below, resume_within=0.0), down=PG if n % 2 else frozenset())
    if n % 3:
        tree.tell("a", Raise(SystemExit(1)))
        tree.weather("postgres", up=bool(n % 2))
    others = [threading.Thread(target=tree.stop, args=(10,)) for _ in range(n % 3)]
    for other in others:
        other.start()
    tree.stop(10)
    for other in others:
        other.join(10)
    assert tree.abandoned == 0
    for name in "abc":
        life = [line for line in journal.lines if line.endswith(f" {name}")]
        assert life == [f"begin {name}", f"end {name}"] * (len(life) // 2)


def test_nothing_is_kept_for_those_who_do_not_run() -> None:
    with running(root(child(Journal(), "a"), child(Journal(), "b", needs=PG)), down=PG) as tree:
        assert not any(tree.tell("b", "for nobody") for _ in range(10_000))
        assert tree.ask("a", "hello", timeout=10) == "hello"
        tree.weather("postgres", up=True)
        eventually(lambda: states(tree)["b"].phase == "running")
        assert states(tree)["b"].mailbox == 0


def test_a_pool_in_which_every_worker_crashes_once_loses_no_message_and_does_none_twice() -> None:
    """The program that measures it: `python -m m10actors.testing.healing`."""
    ledger = one_round_of_healing(workers=4)
    assert sorted(ledger.done) == list(range(4 * MESSAGES_EACH))
    assert len(ledger.healed_in) == len(ledger.crashes) == 4
