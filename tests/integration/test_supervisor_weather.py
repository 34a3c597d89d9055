"""What children need goes down and comes up: they are parked and begin again; no restart is spent, siblings go on."""

import logging
import threading
from itertools import pairwise

import pytest
from supervisor_kit import Do, Journal, Raise, child, on_thread_of, root, running, states

from m10actors.supervision import Backoff, ChildState, Exit, Normal, Restart, Strategy, SupervisorSpec
from m10actors.supervision.weather import Weather
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

PG, REDIS = frozenset({"postgres"}), frozenset({"redis"})
BOOM = Raise(ValueError("boom"))


def phases(tree: Tree) -> dict[str, str]:
    return {name: str(state.phase) for name, state in states(tree).items() if name != "root"}


def all_run(tree: Tree) -> bool:
    return set(phases(tree).values()) == {"running"}


def only(parked: str, of: str) -> dict[str, str]:
    return {name: "parked" if name in parked else "running" for name in of}


def test_children_whose_need_is_down_are_parked_and_begin_again_and_siblings_go_on() -> None:
    journal = Journal()
    children = child(journal, "a"), child(journal, "b", needs=PG), child(journal, "c", needs=REDIS)
    with running(root(*children, resume_within=0.0)) as tree:
        tree.weather("postgres", up=False, why="connection refused")
        eventually(lambda: phases(tree) == only("b", of="abc"))
        assert states(tree)["b"].parked_on == ("postgres",)
        assert not tree.tell("b", "nobody is there")
        assert on_thread_of(tree, "a") == "a"
        assert on_thread_of(tree, "c") == "c"
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))
        assert on_thread_of(tree, "b") == "b"
        assert journal.lines == ["begin a", "begin b", "begin c", "end b", "begin b"]
        assert [state.restarts for state in states(tree).values()] == [0, 0, 0, 0]


def test_a_child_begins_again_when_all_that_it_needs_is_up() -> None:
    with running(root(child(Journal(), "a", needs=PG | REDIS), resume_within=0.0)) as tree:
        tree.weather("postgres", up=False)
        tree.weather("redis", up=False)
        eventually(lambda: states(tree)["a"].parked_on == ("postgres", "redis"))
        tree.weather("postgres", up=True)
        eventually(lambda: states(tree)["a"].parked_on == ("redis",))
        tree.weather("redis", up=True)
        eventually(lambda: all_run(tree))


def test_a_tree_that_is_started_while_a_need_is_down_begins_parked() -> None:
    journal = Journal()
    below = SupervisorSpec("below", (child(journal, "b"),), needs=PG)
    with running(root(child(journal, "a"), below, resume_within=0.0), down=PG) as tree:
        assert phases(tree) == {"a": "running", "below": "parked"}
        assert journal.lines == ["begin a"]
        tree.weather("postgres", up=True)
        eventually(lambda: phases(tree) == dict.fromkeys(["a", "below", "b"], "running"))


def test_a_child_that_cannot_begin_because_the_need_goes_down_meanwhile_begins_parked() -> None:
    journal = Journal()
    trees: list[Tree] = []

    def begin(_: object) -> None:
        if journal.lines.count("begin a") == 1:
            weather.report("postgres", up=False, why="refused")
            raise ConnectionError("refused")

    spec = root(child(journal, "a", {"begin": begin}, needs=PG), resume_within=0.0)
    tree = Tree(spec)
    weather = tree._runtime.weather
    trees.append(tree)
    try:
        tree.start()
        assert phases(tree) == {"a": "parked"}
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))
        assert states(tree)["a"].restarts == 0
    finally:
        tree.stop(10)


def test_weather_that_clears_between_two_starts_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, looks = Journal(), iter([PG])
    monkeypatch.setattr(Weather, "down", property(lambda _: next(looks, frozenset())))
    children = child(journal, "a", needs=PG), child(journal, "b")
    with running(root(*children, strategy=Strategy.REST_FOR_ONE, resume_within=0.0)) as tree:
        eventually(lambda: all_run(tree))
        assert journal.lines == ["begin a", "begin b"]


@pytest.mark.parametrize(
    ("strategy", "parked"),
    [(Strategy.ONE_FOR_ONE, "b"), (Strategy.REST_FOR_ONE, "bc"), (Strategy.ONE_FOR_ALL, "abc")],
)
def test_those_who_depend_on_a_parked_child_stand_still_with_it(strategy: Strategy, parked: str) -> None:
    journal = Journal()
    children = child(journal, "a"), child(journal, "b", needs=PG), child(journal, "c")
    with running(root(*children, strategy=strategy, resume_within=0.0)) as tree:
        journal.clear()
        tree.weather("postgres", up=False)
        eventually(lambda: phases(tree) == only(parked, of="abc"))
        assert {states(tree)[name].parked_on for name in parked} == {("postgres",)}
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))
        assert journal.lines == [*(f"end {n}" for n in reversed(parked)), *(f"begin {n}" for n in parked)]


def test_a_crash_while_a_need_is_down_is_no_crash() -> None:
    """The child does not wait to be parked: it fails at once, because what it needs is not there."""
    journal, go = Journal(), threading.Event()

    def fail(_: object) -> None:
        go.wait(10)
        raise ConnectionError("refused")

    with running(root(child(journal, "a", needs=PG), intensity=0, resume_within=0.0)) as tree:
        tree.tell("a", Do(fail))
        tree._runtime.weather.report("postgres", up=False, why="refused")  # nobody was told of it yet
        go.set()
        eventually(lambda: phases(tree) == {"a": "parked"})
        assert states(tree)["a"].last_exit == "ConnectionError: refused"
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))
        assert not tree.given_up.is_set()


def test_a_crash_of_a_sibling_leaves_those_who_are_parked_parked() -> None:
    journal = Journal()
    children = child(journal, "a"), child(journal, "b", needs=PG)
    with running(root(*children, strategy=Strategy.REST_FOR_ONE), down=PG) as tree:
        tree.tell("a", BOOM)
        eventually(lambda: states(tree)["a"].restarts == 1 and states(tree)["a"].phase == "running")
        assert phases(tree) == only("b", of="ab")
        assert journal.lines == ["begin a", "end a", "begin a"]


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
def test_a_child_that_had_finished_is_not_begun_again_by_the_weather(restart: Restart) -> None:
    journal = Journal()
    with running(root(child(journal, "a", needs=PG, restart=restart), resume_within=0.0)) as tree:
        tree.tell("a", Raise(Exit(Normal())))
        eventually(lambda: phases(tree) == {"a": "finished"})
        tree.weather("postgres", up=False)
        tree.weather("postgres", up=True)
        tree.stop(10)
        assert journal.lines == ["begin a", "end a"]


def test_a_temporary_child_is_parked_too_for_being_parked_is_no_end() -> None:
    journal = Journal()
    with running(root(child(journal, "a", needs=PG, restart=Restart.TEMPORARY), resume_within=0.0)) as tree:
        tree.weather("postgres", up=False)
        eventually(lambda: phases(tree) == {"a": "parked"})
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))


def test_a_child_that_waits_for_its_restart_is_parked_as_well() -> None:
    journal = Journal()
    slow = Backoff(base=20.0, cap=20.0)
    with running(root(child(journal, "a", needs=PG), backoff=slow, intensity=2, resume_within=0.0)) as tree:
        tree.tell("a", BOOM)
        eventually(lambda: states(tree)["a"].restarts == 1 and all_run(tree))
        tree.tell("a", BOOM)
        eventually(lambda: phases(tree) == {"a": "waiting"})
        tree.weather("postgres", up=False)
        eventually(lambda: phases(tree) == {"a": "parked"})
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))  # the end of the outage is a new beginning, with no delay left from before


def test_a_pool_begins_again_in_order_and_one_after_another() -> None:
    journal = Journal()
    began: dict[str, float] = {}
    ids = [f"w{n}" for n in range(8)]

    def begin(me: object) -> None:
        began[me.child_id] = me._link.began_at  # type: ignore[attr-defined]

    pool = [child(journal, name, {"begin": begin}, needs=PG) for name in ids]
    with running(root(*pool, resume_within=0.1, stop_together=True), down=PG) as tree:
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))
        assert list(began) == ids
        assert all(before < after for before, after in pairwise(began.values()))


def test_an_outage_of_many_children_is_two_lines_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="m10actors.supervision")
    pool = [child(Journal(), f"w{n}", needs=PG) for n in range(8)]
    with running(root(*pool, resume_within=0.0, stop_together=True)) as tree:
        caplog.clear()
        tree.weather("postgres", up=False, why="connection refused")
        eventually(lambda: set(phases(tree).values()) == {"parked"})
        tree.weather("postgres", up=False, why="connection refused")
        tree.weather("postgres", up=True)
        eventually(lambda: all_run(tree))
        assert [record.message for record in caplog.records] == ["children_parked", "children_resumed"]
        fields = caplog.records[0].fields  # type: ignore[attr-defined]
        assert fields["because"] == "postgres: connection refused"
        assert fields["children"] == [f"w{n}" for n in reversed(range(8))]


def test_flapping_costs_no_restart_and_waits_longer_each_time() -> None:
    journal = Journal()
    flaps = 50
    spec = root(
        child(journal, "a", needs=PG), intensity=0, period=1e6, resume_within=0.0, backoff=Backoff(base=5.0, cap=5.0)
    )
    with running(spec) as tree:
        for _ in range(flaps):
            tree.weather("postgres", up=False)
            eventually(lambda: phases(tree) == {"a": "parked"}, every=0.001)
            tree.weather("postgres", up=True)
            eventually(lambda: phases(tree)["a"] in {"running", "waiting"}, every=0.001)
        assert phases(tree) == {"a": "waiting"}
        assert journal.lines.count("begin a") <= 2
        assert states(tree)["a"].restarts == 0
        assert not tree.given_up.is_set()


def test_many_threads_may_report_at_once() -> None:
    journal = Journal()
    names = [f"need{n}" for n in range(10)]
    children = [child(journal, f"c{n}", needs=frozenset({name})) for n, name in enumerate(names)]
    with running(root(*children, resume_within=0.0, backoff=Backoff(1e-6, 1e-6))) as tree:

        def flap(name: str) -> None:
            for n in range(21):
                tree.weather(name, up=n % 2 == 1)

        threads = [threading.Thread(target=flap, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert tree.down == frozenset(names)
        eventually(lambda: set(phases(tree).values()) == {"parked"})
        for name in names:
            tree.weather(name, up=True)
        eventually(lambda: all_run(tree))


def test_a_stop_while_all_are_parked_is_at_once_and_starts_nobody() -> None:
    journal = Journal()
    with running(root(child(journal, "a", needs=PG)), down=PG):
        pass
    assert journal.lines == []


def test_the_snapshot_says_how_a_supervisor_restarts_and_what_of_its_budget_is_spent() -> None:
    with running(root(child(Journal(), "a"), strategy=Strategy.ONE_FOR_ALL, intensity=7, period=30.0)) as tree:
        tree.tell("a", BOOM)
        eventually(lambda: states(tree)["a"].restarts == 1 and all_run(tree))
        budget = tree.snapshot().budget
        assert budget is not None
        assert (budget.strategy, budget.spent, budget.intensity, budget.period) == ("one_for_all", 1, 7, 30.0)
        worker: ChildState = states(tree)["a"]
        assert worker.budget is None
