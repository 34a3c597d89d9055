"""Rule files: whatever is wrong with one is said at once, with its rule, its key and its line."""

from datetime import timedelta
from pathlib import Path

import pytest

from m10actors.config import ConfigError
from m10actors.recovery.conditions import (
    All,
    Any,
    Code,
    Fingerprint,
    History,
    Message,
    Not,
    Occurrences,
    Rate,
    Source,
)
from m10actors.recovery.proof import Scope
from m10actors.recovery.rules import Rule
from m10actors.rulebook import load, proposed
from m10actors.rulebook.reading import MAX_BYTES

GOOD = '[[rule]]\nname = "one"\naction = "notify_ops"\nscore = 0.5\nwhen = { code = ["X"] }\n'


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "rules.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def rule(when: str, head: str = 'name = "r"\naction = "notify_ops"\nscore = 0.5') -> str:
    return f"[[rule]]\n{head}\nwhen = {when}\n"


def problems(path: Path) -> list[tuple[str, str, str]]:
    """The key, what came, and the line of each."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    found = caught.value.problems
    return [(each.key, each.got, each.origin.removeprefix(f"file {path}").removeprefix(", ")) for each in found]


def test_every_kind_of_condition_can_be_written(written) -> None:
    path = written(
        """
[[rule]]
name = "all_of_it"
action = "fallback_model"
score = 0.6
adjustment = -0.1
priority = 3
tier = 2
active = false
[rule.when]
code = ["A"]
code_word = ["B"]
source = ["shop"]
fingerprint = ["c0ffee"]
occurrences = { at_least = 4 }
rate = { at_least = 20, within = "5m" }
history = { cases = 3, success = 0.5, action = "skip_task", scope = "action" }
all = [{ code = ["C"] }, { code = ["D"] }]
any = [{ code = ["E"] }, { code = ["F"], source = ["web"] }]
not = { code = ["G"] }
"""
    )
    [found] = load(path).rules
    assert found == Rule(
        "all_of_it",
        "fallback_model",
        0.6,
        All(
            (
                Code(("A",)),
                Code(("B",), whole=True),
                Source(("shop",)),
                Fingerprint(("c0ffee",)),
                Occurrences(4),
                Rate(20, timedelta(minutes=5)),
                History(3, 0.5, "skip_task", Scope.ACTION),
                All((Code(("C",)), Code(("D",)))),
                Any((Code(("E",)), All((Code(("F",)), Source(("web",)))))),
                Not(Code(("G",))),
            )
        ),
        adjustment=-0.1,
        priority=3,
        tier=2,
        is_active=False,
    )


def test_a_message_is_matched_in_any_letter_case_unless_the_pattern_says_otherwise(written) -> None:
    [found] = load(written(rule("{ message = 'no space' }"))).rules
    [strict] = load(written(rule("{ message = '(?-i)no space' }"))).rules
    assert isinstance(found.when, Message)
    assert isinstance(strict.when, Message)
    assert found.when.pattern.search("disk: No Space left") == "No Space"
    assert strict.when.pattern.search("disk: No Space left") is None


def test_everything_that_is_wrong_is_said_at_once_with_its_rule_key_and_line(written) -> None:
    path = written(
        """# a comment
[[rule]]
name = "Bad Name"
action = "notify_ops"
score = 3
when = { cod = ["a"], message = "a(b" }

[[rule]]
name = "two"
scor = 1
when = {}

[[rule]]
name = "three"
action = "notify_ops"
score = 0.5
[[rule.when.any]]
code = "X"
[[rule.when.any]]
message = "[cd"
occurrences = 5

[[rule]]
name = "two"
score = 0.5
when = { code = ["Y"] }
"""
    )
    assert problems(path) == [
        ("rule Bad Name: name", "'Bad Name'", "line 3"),
        ("rule Bad Name: score", "3", "line 5"),
        ("rule Bad Name: when.message", "character 2: missing ): a(b", "line 6"),
        ("rule Bad Name: when.cod", "an unknown key", "line 6"),
        ("rule two: score", "nothing", "line 8"),
        ("rule two: when", "{}", "line 11"),
        ("rule two: scor", "an unknown key", "line 10"),
        ("rule three: when.any[1].code", "'X'", "line 17"),
        ("rule three: when.any[2].message", "character 1: missing ]: [cd", "line 17"),
        ("rule three: when.any[2].occurrences", "5", "line 17"),
        ("rule two: name", "'two'", "line 24"),
        ("rule two: action", "no action and no such condition", "line 23"),
    ]


def test_a_near_miss_of_a_key_is_named(written) -> None:
    with pytest.raises(ConfigError, match=r"rule r: when.cod: expected a known key \(did you mean code\?\)"):
        load(written(rule('{ cod = ["a"] }')))


@pytest.mark.parametrize(
    ("when", "key"),
    [
        ('{ code = [] }', "when.code"),
        ('{ code = [""] }', "when.code"),
        ('{ code = [1] }', "when.code"),
        ('{ message = "" }', "when.message"),
        (f'{{ message = "{"a" * 1001}" }}', "when.message"),
        (r"{ message = '(?=x)' }", "when.message"),
        (r"{ message = '(a)\1' }", "when.message"),
        (r"{ message = '(a{1000}){1000}' }", "when.message"),
        ('{ occurrences = { at_least = 0 } }', "when.occurrences.at_least"),
        ('{ occurrences = { at_least = true } }', "when.occurrences.at_least"),
        ('{ rate = { at_least = 5, within = "10ms" } }', "when.rate.within"),
        ('{ rate = { at_least = 5, within = 10 } }', "when.rate.within"),
        ('{ rate = { at_least = 5, within = "1500ms" } }', "when.rate.within"),
        ('{ history = { cases = 2, success = 0.5 } }', "when.history.cases"),
        ('{ history = { cases = 3, success = 1.5 } }', "when.history.success"),
        ('{ history = { cases = 3, success = 0.5, scope = "action" } }', "when.history"),
        ('{ history = { cases = 3, success = 0.5, scope = "all" } }', "when.history.scope"),
        ('{ any = [] }', "when.any"),
        ('{ any = [{}] }', "when.any[1]"),
        ('{ not = [] }', "when.not"),
        ('"CODE"', "when"),
        ("[]", "when"),
    ],
)  # fmt: skip
def test_a_condition_that_can_never_be_right_is_refused(written, when: str, key: str) -> None:
    assert [found for found, _, _ in problems(written(rule(when)))] == [f"rule r: {key}"]


@pytest.mark.parametrize(
    "line",
    ["score = nan", 'score = "1"', "score = true", "adjustment = 2", "priority = 1.5", "tier = 0", "active = 1",
     'name = "Ä"'],
)  # fmt: skip
def test_a_key_of_a_rule_with_a_wrong_value_is_named(written, line: str) -> None:
    keys = {"name": 'name = "r"', "score": "score = 0.5"} | {line.partition(" ")[0]: line}
    [(key, _, where)] = problems(written(rule('{ code = ["a"] }', "\n".join(['action = "x"', *keys.values()]))))
    assert key.endswith(f": {line.partition(' ')[0]}")
    assert where.startswith("line ")


def test_levels_are_counted_and_eight_are_enough(written) -> None:
    def nested(levels: int) -> str:
        return "{ not = " * (levels - 1) + '{ code = ["a"] }' + " }" * (levels - 1)

    assert load(written(rule(nested(8)))).rules
    assert problems(written(rule(nested(9)))) == [("rule r: when", "more", "line 5")]
    with pytest.raises(ConfigError, match="at most 8 levels"):
        load(written(rule(nested(20_000))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "TOML in UTF-8"),
        (b"[[rule]", "TOML in UTF-8"),
        (b"", "one [[rule]] table at least, got none"),
        (b"rule = 5", "one [[rule]] table at least, got 5"),
        (b"[rule]\nname = 'x'", "one [[rule]] table at least"),
        (GOOD.encode() + b"[other]", "[[rule]] tables and nothing else, got 'other'"),
        (b"#" * (MAX_BYTES + 1), "at most 1,000,000 bytes"),
        (b"rule = [1]", "rule 1: expected a table, got 1"),
        (b"rule = [" + b"{}," * 1001 + b"]", "at most 1,000 rules, got 1,001"),
    ],
)
def test_a_file_that_is_no_list_of_rules_is_refused(written, text: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(text))
    assert said in str(caught.value)


def test_an_empty_list_is_told_how_many_it_has_to_have(written) -> None:
    with pytest.raises(ConfigError, match=r"when\.code: expected a list of 1 to 1,000 texts, got \[\]"):
        load(written(rule("{ code = [] }")))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: expected a readable file, got No such file or directory"):
        load(tmp_path / "none.toml")


def test_rules_written_as_one_list_have_problems_without_a_line(written) -> None:
    assert problems(written('rule = [{ name = "a", action = "b", score = 9, when = { code = ["X"] } }]')) == [
        ("rule a: score", "9", "")
    ]


def test_only_the_actions_of_active_rules_count_as_proposed(written) -> None:
    off = GOOD.replace("one", "off").replace("notify_ops", "page_me") + "active = false\n"
    assert proposed(load(written(GOOD + off))) == {"notify_ops"}
