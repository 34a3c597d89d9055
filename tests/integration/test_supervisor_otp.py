"""The cases of OTP's own `supervisor_SUITE`, by its names, as far as they are about what exists here."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from supervisor_kit import FAST, Do, Journal, Raise, child, no_thread_left, on_thread_of, root, running, states

from m10actors.supervision import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildType,
    Exit,
    ExitReason,
    InvalidSpec,
    Normal,
    Restart,
    Shutdown,
    StartFailed,
    Strategy,
    SupervisorSpec,
)
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.waiting import eventually

BOOM = Raise(ValueError("boom"))
EXITS: dict[str, object] = {"normal": Raise(Exit(Normal())), "shutdown": Raise(Exit(Shutdown())), "abnormal": BOOM}
RESTARTED = {
    (Restart.PERMANENT, "normal"): True,
    (Restart.PERMANENT, "shutdown"): True,
    (Restart.PERMANENT, "abnormal"): True,
    (Restart.TRANSIENT, "normal"): False,
    (Restart.TRANSIENT, "shutdown"): False,
    (Restart.TRANSIENT, "abnormal"): True,
    (Restart.TEMPORARY, "normal"): False,
    (Restart.TEMPORARY, "shutdown"): False,
    (Restart.TEMPORARY, "abnormal"): False,
}


def phases(tree: Tree) -> dict[str, str]:
    return {name: str(state.phase) for name, state in states(tree).items()}


def restarts(tree: Tree) -> dict[str, int]:
    return {name: state.restarts for name, state in states(tree).items() if name != "root"}


# sup_start, sup_stop


def test_sup_start_normal() -> None:
    journal = Journal()
    with running(root(child(journal, "a"), child(journal, "b"))) as tree:
        assert set(phases(tree).values()) == {"running"}


def test_sup_start_fail() -> None:
    def refuse(_: object) -> None:
        raise Exit(Normal())

    with no_thread_left(), pytest.raises(StartFailed) as raised:
        start_tree(root(child(Journal(), "a"), child(Journal(), "b", {"begin": refuse})))
    assert raised.value.reason == Normal()


def test_sup_stop_infinity() -> None:
    journal = Journal()
    spec = child(journal, "a", shutdown=INFINITY, type=ChildType.SUPERVISOR)
    with running(root(spec)):
        pass
    assert journal.lines == ["begin a", "end a"]
    with pytest.raises(InvalidSpec, match="a: shutdown must be 0 seconds or more, got inf"):
        start_tree(root(child(journal, "a", shutdown=INFINITY)))


@pytest.mark.parametrize("shutdown", [BRUTAL_KILL, 0.02], ids=["sup_stop_brutal_kill", "sup_stop_timeout"])
def test_sup_stop(shutdown: float) -> None:
    journal, go, busy = Journal(), threading.Event(), threading.Event()
    with no_thread_left():
        tree = start_tree(root(child(journal, "a"), child(journal, "b", shutdown=shutdown)))
        tree.tell("b", Do(lambda _: (busy.set(), go.wait(10))))
        assert busy.wait(10)
        tree.stop()
        assert journal.lines == ["begin a", "begin b", "end a"]
        assert [leaked.child_id for leaked in tree.leaked] == ["b"]
        go.set()
        eventually(lambda: not tree.leaked)
        assert tree.abandoned == 1


# permanent_normal … temporary_abnormal


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize(
    ("restart", "exits"),
    [pytest.param(restart, exits, id=f"{restart}_{exits}") for restart, exits in RESTARTED],
)
def test_restart_type(restart: Restart, exits: str, strategy: Strategy) -> None:
    journal = Journal()
    with running(root(child(journal, "a"), child(journal, "b", restart=restart), strategy=strategy)) as tree:
        tree.tell("b", EXITS[exits])
        if RESTARTED[restart, exits]:
            with_it = int(strategy is Strategy.ONE_FOR_ALL)
            eventually(lambda: restarts(tree) == {"a": with_it, "b": 1} and phases(tree)["b"] == "running")
        else:
            eventually(lambda: phases(tree)["b"] == "finished")
            assert restarts(tree) == {"a": 0, "b": 0}
        assert on_thread_of(tree, "a") == "a"


def test_temporary_bystander() -> None:
    """A temporary child is stopped with its group and not restarted, whoever of the group it was that ended."""
    for strategy in (Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE):
        journal = Journal()
        children = child(journal, "a"), child(journal, "b", restart=Restart.TEMPORARY)
        with running(root(*children, strategy=strategy)) as tree:
            tree.tell("a", BOOM)
            eventually(lambda: phases(tree) == {"root": "running", "a": "running", "b": "finished"})
            assert journal.lines == ["begin a", "begin b", "end a", "end b", "begin a"]


# one_for_one, one_for_all, rest_for_one


@dataclass(frozen=True)
class Case:
    """The children that are restarted when b of a, b, c crashes."""

    strategy: Strategy
    restarted: tuple[str, ...]


CASES = [
    Case(Strategy.ONE_FOR_ONE, ("b",)),
    Case(Strategy.ONE_FOR_ALL, ("a", "b", "c")),
    Case(Strategy.REST_FOR_ONE, ("b", "c")),
]
by_strategy = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.strategy))


@by_strategy
def test_strategy(case: Case) -> None:
    journal = Journal()
    with running(root(*(child(journal, name) for name in "abc"), strategy=case.strategy)) as tree:
        tree.tell("b", BOOM)
        eventually(lambda: restarts(tree) == {name: int(name in case.restarted) for name in "abc"})
        eventually(lambda: set(phases(tree).values()) == {"running"})
        assert journal.lines[-len(case.restarted) :] == [f"begin {name}" for name in case.restarted]


@by_strategy
def test_strategy_escalation(case: Case) -> None:
    journal, reasons = Journal(), list[ExitReason]()
    spec = root(*(child(journal, name) for name in "abc"), strategy=case.strategy, intensity=0)
    with running(spec, on_give_up=reasons.append) as tree:
        tree.tell("b", BOOM)
        assert tree.given_up.wait(10)
        eventually(lambda: reasons)
        assert journal.lines[-3:] == ["end b", "end c", "end a"]
    assert "root gave up: more than 0 restarts in 60 s, the last for b (ValueError: boom)" in str(reasons)


@pytest.mark.parametrize("case", CASES[1:], ids=lambda case: str(case.strategy))
def test_other_child_fails_restart(case: Case) -> None:
    """A sibling that fails to begin when the group is restarted makes the group begin anew, until all are up."""
    journal = Journal()
    fails = iter([False, True, True, False])

    def begin(_: object) -> None:
        if next(fails):
            raise ValueError("not yet")

    children = child(journal, "a"), child(journal, "b"), child(journal, "c", {"begin": begin})
    with running(root(*children, strategy=case.strategy)) as tree:
        tree.tell("b", BOOM)
        eventually(lambda: journal.lines.count("begin c") == 4 and set(phases(tree).values()) == {"running"})
        assert all(on_thread_of(tree, name) == name for name in "abc")


def test_simple_one_for_one_shutdown() -> None:
    """Equals that stop together have their time together: the whole takes one child's time, not the sum."""
    journal, go = Journal(), threading.Event()
    pool = [child(journal, name, shutdown=0.2) for name in "abcdefgh"]
    with no_thread_left():
        tree = start_tree(root(*pool, stop_together=True))
        for spec in pool:
            tree.tell(spec.id, Do(lambda _: go.wait(10)))
        tree.stop()
        assert {leaked.child_id for leaked in tree.leaked} == set("abcdefgh")
        first, *_, last = sorted(leaked.since for leaked in tree.leaked)
        assert last - first < 8 * 0.2  # one after another each would have had its own
        go.set()


def test_tree() -> None:
    """A crash below is dealt with below; one too many is passed on to the supervisor above, and goes no further."""
    journal = Journal()
    below = SupervisorSpec("below", (child(journal, "b"), child(journal, "c")), intensity=1, backoff=FAST)
    with running(root(child(journal, "a"), below)) as tree:
        tree.tell("b", BOOM)
        eventually(lambda: restarts(tree) == {"a": 0, "below": 0, "b": 1, "c": 0} and phases(tree)["b"] == "running")
        tree.tell("c", BOOM)
        eventually(lambda: restarts(tree) == {"a": 0, "below": 1, "b": 0, "c": 0})
        eventually(lambda: set(phases(tree).values()) == {"running"})


# hanging_restart_loop


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ONE, Strategy.REST_FOR_ONE])
def test_hanging_restart_loop(strategy: Strategy) -> None:
    """While the restart of one child fails again and again its supervisor serves the others, and stops when asked."""
    journal, down = Journal(), threading.Event()

    def begin(_: object) -> None:
        if down.is_set():
            raise ConnectionError("refused")

    children = child(journal, "a"), child(journal, "b", {"begin": begin})
    spec = root(*children, strategy=strategy, intensity=10_000, backoff=Backoff(base=0.001, cap=0.001))
    with running(spec) as tree:
        down.set()
        tree.tell("b", BOOM)
        eventually(lambda: restarts(tree)["b"] > 20)
        before = restarts(tree)["a"]
        tree.tell("a", BOOM)
        eventually(lambda: restarts(tree)["a"] == before + 1 and phases(tree)["a"] == "running")
        assert on_thread_of(tree, "a") == "a"
        assert states(tree)["root"].budget.spent > 20  # type: ignore[union-attr]
        down.clear()
        eventually(lambda: phases(tree)["b"] == "running")
        down.set()
        tree.tell("b", BOOM)


# significant_*


def significant(auto_shutdown: AutoShutdown, restart: Restart) -> Callable[[Journal], SupervisorSpec]:
    def spec(journal: Journal) -> SupervisorSpec:
        pair = [child(journal, name, restart=restart, significant=True) for name in ("s1", "s2")]
        children = *pair, child(journal, "bystander", restart=Restart.TEMPORARY)
        return SupervisorSpec("below", children, backoff=FAST, auto_shutdown=auto_shutdown, restart=Restart.TRANSIENT)

    return spec


@pytest.mark.parametrize(("restart", "exits"), [(r, e) for r in list(Restart)[1:] for e in EXITS])
@pytest.mark.parametrize("auto_shutdown", list(AutoShutdown)[1:])
def test_significant(auto_shutdown: AutoShutdown, restart: Restart, exits: str) -> None:
    """A significant child that ends for good ends its supervisor, at once or as the last; that exits with shutdown."""
    journal = Journal()
    with running(root(child(journal, "a"), significant(auto_shutdown, restart)(journal))) as tree:
        tree.tell("s1", EXITS[exits])
        if RESTARTED[restart, exits]:
            eventually(lambda: restarts(tree)["s1"] == 1 and phases(tree)["s1"] == "running")
            tree.tell("s1", EXITS["normal"])
        if auto_shutdown is AutoShutdown.ALL_SIGNIFICANT:
            eventually(lambda: phases(tree)["s1"] == "finished")
            assert phases(tree)["below"] == "running"
            tree.tell("s2", EXITS["normal"])
        eventually(lambda: phases(tree)["below"] == "finished")
        assert states(tree)["below"].last_exit == "shutdown"
        assert "end bystander" in journal.lines
        assert on_thread_of(tree, "a") == "a"


def test_significant_bystander() -> None:
    """One that is stopped with its group, or that is not significant, ends nobody."""
    journal = Journal()
    children = (
        child(journal, "a"),
        child(journal, "b", restart=Restart.TEMPORARY, significant=True),
        child(journal, "c", restart=Restart.TEMPORARY),
    )
    spec = root(*children, strategy=Strategy.REST_FOR_ONE, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    with running(spec) as tree:
        tree.tell("c", EXITS["normal"])
        eventually(lambda: phases(tree)["c"] == "finished")
        tree.tell("a", BOOM)
        eventually(lambda: phases(tree) == dict.fromkeys(["root", "a"], "running") | dict.fromkeys("bc", "finished"))


def test_significant_escalation() -> None:
    """A supervisor that is significant itself passes its end on; the root's is the end of the tree, and no failure."""
    reasons = list[ExitReason]()
    last = child(Journal(), "last", restart=Restart.TEMPORARY, significant=True)
    below = SupervisorSpec(
        "below", (last,), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT, restart=Restart.TRANSIENT, significant=True
    )
    with running(root(below, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT), on_give_up=reasons.append) as tree:
        tree.tell("last", BOOM)
        assert tree.given_up.wait(10)
        eventually(lambda: reasons == [Shutdown()])


def test_child_specs() -> None:
    """What does not go together is refused, all of it at once, before anything starts."""

    def never(_: object) -> object:
        raise AssertionError("started")

    bad = (
        ChildSpec("a", start=never, significant=True),  # type: ignore[arg-type]
        ChildSpec("b", start=never, significant=True, restart=Restart.TEMPORARY, needs=frozenset({"a b"})),  # type: ignore[arg-type]
        SupervisorSpec("c", (ChildSpec("d", start=never, period=-1.0),), resume_within=-1.0),  # type: ignore[arg-type]
    )
    with pytest.raises(InvalidSpec) as raised:
        start_tree(root(*bad))
    wants = "a significant child wants a supervisor with auto_shutdown any_significant or all_significant, got never"
    assert raised.value.problems == (
        "a: a permanent child cannot be significant: it never ends by itself",
        f"a: {wants}",
        "b: a need must be printable, without spaces, not empty, got 'a b'",
        f"b: {wants}",
        "c: resume_within must be 0 seconds or more, got -1.0",
        "d: period must be more than 0 seconds, got -1.0",
    )
