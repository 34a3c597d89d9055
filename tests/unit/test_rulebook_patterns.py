"""The patterns of a rule file, looked for together: what they find is what each finds by itself."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.conditions import Message, leaves
from m10actors.rulebook import load
from m10actors.rulebook.cases import read_cases
from m10actors.rulebook.pattern import InvalidPattern, Pattern
from m10actors.rulebook.patterns import LONGEST, Member, Patterns
from m10actors.shipped import shipped
from m10actors.testing.accuracy import HALVES, LABELLED

LIMIT = timedelta(seconds=10)
TEXTS = (r"no \w+ left", "^disk", "(?-i)Disk", r"\bé+\b", "k", "a{2,4}.{0,3}$", "(?:x|)y?", r"\x{10FFFF}")


def members(texts: tuple[str, ...] = TEXTS, limit: timedelta = LIMIT) -> list[Member]:
    patterns = Patterns(limit)
    return [patterns.add(text) for text in texts]


@given(st.text(max_size=40) | st.lists(st.sampled_from("aAkKéÉxyD \n\u212a"), max_size=12).map("".join))
def test_each_finds_what_it_finds_by_itself(message: str) -> None:
    found = [member.search(message) for member in members()]
    assert found == [Pattern(text, LIMIT).search(message) for text in TEXTS]


def test_the_rules_that_ship_find_in_every_labelled_message_what_each_finds_by_itself() -> None:
    rules = load(shipped("config/rules.toml"), LIMIT).rules
    shipped_members = [leaf.pattern for rule in rules for leaf in leaves(rule.when) if isinstance(leaf, Message)]
    alone = [Pattern(member.text, LIMIT) for member in shipped_members]
    for half in HALVES:
        for case, _ in read_cases(LABELLED / f"{half}.toml"):
            assert [each.search(case.message) for each in shipped_members] == [
                each.search(case.message) for each in alone
            ]


def test_most_messages_cost_one_pass_and_no_search() -> None:
    looks = count()
    patterns = Patterns(LIMIT, clock=lambda: float(next(looks)) / 1000)
    some = [patterns.add(text) for text in ("disk full", "no route", "refused")]
    assert [each.search("all is well") for each in some] == [None] * 3
    assert next(looks) == 2


def test_where_the_pass_takes_too_long_each_is_looked_for_by_itself() -> None:
    seconds: Iterator[float] = iter([0.0, 1.0, *[2.0] * 100])
    patterns = Patterns(timedelta(milliseconds=20), clock=seconds.__next__)
    full, route = patterns.add("disk full"), patterns.add("no route")
    assert [each.search("disk full") for each in (full, route)] == ["disk full", None]
    assert [each.search("no route") for each in (full, route)] == [None, "no route"]
    assert patterns.matching("no route") is None


def test_patterns_that_are_too_many_for_the_pass_are_looked_for_one_by_one() -> None:
    patterns = Patterns(LIMIT)
    some = [patterns.add(f"({nth}|[a-z]{{1,200}}){{1,4}}!") for nth in range(1_000, 1_040)]
    assert patterns.matching("1007!") is None
    assert [each.text for each in some if each.search("1007!")] == [some[7].text]
    assert [each.text for each in some if each.search("...1007!1008!")] == [some[7].text, some[8].text]


def test_a_long_message_is_searched_by_each() -> None:
    message = "x" * LONGEST + " disk full"
    full, route = members(("disk full", "no route"))
    assert (full.search(message), route.search(message)) == ("disk full", None)


def test_what_is_no_pattern_is_refused_and_leaves_the_others_as_they_are() -> None:
    patterns = Patterns(LIMIT)
    first = patterns.add("disk")
    with pytest.raises(InvalidPattern):
        patterns.add("(disk")
    last = patterns.add("full")
    assert (first.search("full"), last.search("full")) == (None, "full")
