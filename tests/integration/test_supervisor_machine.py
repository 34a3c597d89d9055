"""A state machine: a real tree against a model of a supervisor."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from supervisor_kit import Do, Journal, Raise, child, root, states

from m10actors.supervision import Backoff, Restart, Strategy
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.waiting import eventually

NEEDED = ("postgres", "redis")
IDS = ("a", "b", "c", "d")


class Supervised(RuleBasedStateMachine):
    """Children of all kinds crash, end and are parked, in any order; the tree always comes to where the model is."""

    tree: Tree | None = None

    @initialize(
        strategy=st.sampled_from(Strategy),
        kinds=st.lists(st.sampled_from(Restart), min_size=4, max_size=4),
        needs=st.lists(st.frozensets(st.sampled_from(NEEDED)), min_size=4, max_size=4),
        down=st.frozensets(st.sampled_from(NEEDED)),
    )
    def begin(
        self, strategy: Strategy, kinds: list[Restart], needs: list[frozenset[str]], down: frozenset[str]
    ) -> None:
        self.strategy, self.down = strategy, set(down)
        self.kinds, self.needs = dict(zip(IDS, kinds, strict=True)), dict(zip(IDS, needs, strict=True))
        self.finished: set[str] = set()
        self.journal = Journal()
        specs = [child(self.journal, name, restart=self.kinds[name], needs=self.needs[name]) for name in IDS]
        self.begun = Counter(name for name in IDS if not self.parked_on(name))
        spec = root(*specs, strategy=strategy, intensity=10_000, resume_within=0.0, backoff=Backoff(1e-6, 1e-6))
        self.tree = start_tree(spec, down=down)

    @rule(name=st.sampled_from(NEEDED), up=st.booleans())
    def the_weather_changes(self, name: str, up: bool) -> None:
        assert self.tree is not None
        parked = [child_id for child_id in IDS if self.parked_on(child_id)]
        self.tree.weather(name, up=up)
        self.down.discard(name) if up else self.down.add(name)
        self.begun.update(child_id for child_id in parked if not self.parked_on(child_id))

    @rule(name=st.sampled_from(IDS), crashes=st.booleans())
    def a_child_ends(self, name: str, crashes: bool) -> None:
        assert self.tree is not None
        ends = Raise(ValueError("boom")) if crashes else Do(lambda me: me.stop())
        if not self.tree.tell(name, ends):
            assert name in self.finished or self.parked_on(name)
            return
        kind = self.kinds[name]
        if kind is Restart.TEMPORARY or (kind is Restart.TRANSIENT and not crashes):
            self.finished.add(name)
            return
        parked = {other for other in IDS if self.parked_on(other)}
        for other in self.group(name):
            if self.kinds[other] is not Restart.TEMPORARY:
                self.finished.discard(other)
            elif other not in parked:
                self.finished.add(other)
        self.begun.update(
            other for other in self.group(name) if other not in parked | self.finished and not self.parked_on(other)
        )

    def group(self, name: str) -> tuple[str, ...]:
        """Who is restarted with it."""
        return {
            Strategy.ONE_FOR_ONE: (name,),
            Strategy.REST_FOR_ONE: IDS[IDS.index(name) :],
            Strategy.ONE_FOR_ALL: IDS,
        }[self.strategy]

    def parked_on(self, name: str) -> set[str]:
        """What holds it up: its needs, and those of the siblings it depends on."""
        leads = {
            Strategy.ONE_FOR_ONE: (name,),
            Strategy.REST_FOR_ONE: IDS[: IDS.index(name) + 1],
            Strategy.ONE_FOR_ALL: IDS,
        }[self.strategy]
        if name in self.finished:
            return set()
        return {need for lead in leads if lead not in self.finished for need in self.needs[lead]} & self.down

    @invariant()
    def the_tree_comes_to_where_the_model_is(self) -> None:
        if self.tree is None:
            return
        tree, expected = self.tree, {}
        for name in IDS:
            parked_on = self.parked_on(name)
            phase = "finished" if name in self.finished else "parked" if parked_on else "running"
            expected[name] = (phase, tuple(sorted(parked_on)), self.begun[name])

        def seen() -> dict[str, tuple[str, tuple[str, ...], int]]:
            begun = Counter(line.removeprefix("begin ") for line in self.journal.lines if line.startswith("begin "))
            found = states(tree)
            return {name: (str(found[name].phase), found[name].parked_on, begun[name]) for name in IDS}

        try:
            eventually(lambda: seen() == expected, every=0.001)
        except AssertionError:
            raise AssertionError(f"expected {expected}, got {seen()}") from None

    def teardown(self) -> None:
        if self.tree is not None:
            self.tree.stop(deadline=10)
            assert self.tree.abandoned == 0


TestSupervised = Supervised.TestCase
TestSupervised.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
