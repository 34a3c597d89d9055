"""Real trees under random crashes: they always come to rest with every child running and everyone answering."""

from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor_kit import Do, Journal, Raise, child, on_thread_of, root, running

from m10actors.supervision import AskFailed, NotRunning, Strategy, SupervisorSpec
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

NAMES = ("a", "b", "c", "d")
BLOWS = st.sampled_from([Raise(ValueError("boom")), Raise(SystemExit(1)), Do(lambda me: me.stop())])


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(Strategy),
    st.sampled_from(Strategy),
    st.lists(st.tuples(st.sampled_from(NAMES), BLOWS), max_size=12),
)
def test_a_tree_comes_to_rest_after_any_crashes(
    outer: Strategy, inner: Strategy, blows: list[tuple[str, object]]
) -> None:
    journal = Journal()
    below = SupervisorSpec("below", (child(journal, "b"), child(journal, "c")), strategy=inner, intensity=1)
    with running(root(child(journal, "a"), below, child(journal, "d"), strategy=outer)) as tree:
        for name, blow in blows:
            tree.tell(name, blow)
        eventually(lambda: all(answers(tree, name) for name in NAMES))
        assert not tree.given_up.is_set()
    for name in NAMES:
        life = [line for line in journal.lines if line.endswith(f" {name}")]
        assert life == [f"begin {name}", f"end {name}"] * (len(life) // 2)
    assert tree.abandoned == 0


def answers(tree: Tree, name: str) -> bool:
    try:
        return on_thread_of(tree, name) == name
    except (NotRunning, AskFailed):
        return False
