"""The shipped rules: the contract's ten, unchanged by ours; every word of ours decides, and no look-alike of one."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.conditions import Code, leaves
from m10actors.recovery.decision import Decision
from m10actors.recovery.rules import CONTRACT_RULES, Ruleset
from m10actors.rulebook import load, proposed
from m10actors.rulebook.cases import Case, outcomes, read_cases
from m10actors.shipped import shipped
from m10actors.testing import accuracy


@functools.cache
def rules() -> Ruleset:
    return load(shipped("config/rules.toml"))


def words() -> Iterator[tuple[str, str]]:
    """(rule, word) of tier 2."""
    for rule in rules().rules:
        for leaf in leaves(rule.when):
            if rule.tier == 2 and isinstance(leaf, Code):
                yield from ((rule.name, word) for word in leaf.patterns)


def decided(ruleset: Ruleset = CONTRACT_RULES, **failure: object) -> Decision:
    [outcome] = outcomes(ruleset, [(Case.model_validate({"action": "none"} | failure), "")])
    return outcome.decision


def test_the_first_ten_are_those_of_the_contract() -> None:
    assert rules().rules[:10] == CONTRACT_RULES.rules
    assert {rule.tier for rule in rules().rules[10:]} == {2}


def test_every_case_that_ships_comes_out_as_it_says() -> None:
    found = list(outcomes(rules(), read_cases(shipped("config/rules-tests.toml"))))
    assert [(each.place, each.wrong) for each in found if each.wrong] == []
    assert len(found) > 100


def test_only_seeded_actions_are_proposed() -> None:
    assert proposed(rules()) <= SEEDED_ACTIONS.keys()


def test_every_word_of_ours_reaches_its_own_rule_and_no_other() -> None:
    found = [(rule, word, [match.rule for match in decided(rules(), code=word).matched]) for rule, word in words()]
    assert [each for each in found if each[2] != [each[0]]] == []
    assert len(found) > 600


def test_a_word_of_ours_matches_behind_a_package_and_in_any_letter_case() -> None:
    for rule, word in words():
        for code in (word.lower(), f"({word})", f"error: {word}"):
            assert rule in [match.rule for match in decided(rules(), code=code).matched], code


def test_no_look_alike_of_a_word_of_ours_matches() -> None:
    ours = {word.upper(): {rule} for rule, word in words()}
    for word in ours:
        for form in ("{}X", "X{}", "{}9", "9{}", "{}_ITEM", "ITEM_{}", "my-{}", "{}-2"):
            code = form.format(word)
            if not decided(code=code).matched:
                assert {match.rule for match in decided(rules(), code=code).matched} == ours.get(code, set()), code


@given(st.from_regex(r"[A-Z]{1,12}(_[A-Z0-9]{1,8}){0,3}", fullmatch=True), st.integers(1, 12), st.text(max_size=40))
def test_what_the_ten_decide_by_a_code_stays_as_it_is(code: str, occurrences: int, message: str) -> None:
    failure = {"code": code, "occurrences": occurrences, "message": message}
    ten = decided(**failure)
    if any(match.rule not in ("escalate_repeated", "manual_review_high") for match in ten.matched):
        ours = decided(rules(), **failure)
        assert (ours.action, ours.total, ours.confidence, ours.matched) == (
            ten.action, ten.total, ten.confidence, ten.matched,
        )  # fmt: skip


def test_ours_decide_by_what_the_failure_is_and_repetition_adds_to_it() -> None:
    found = [decided(rules(), code="HTTP_404", occurrences=n) for n in (1, 5, 10)]
    assert [(each.action, each.confidence) for each in found] == [
        ("skip_task", 0.7), ("notify_ops", 0.8), ("manual_intervention", 0.95),
    ]  # fmt: skip


def test_the_labelled_failures_are_more_than_200_of_the_sample_and_the_halves_share_none() -> None:
    kinds = []
    for half in accuracy.HALVES:
        cases = [case for case, _ in read_cases(accuracy.LABELLED / f"{half}.toml")]
        kinds.append({(case.code, re.sub("[0-9]+", "#", case.message.strip())) for case in cases})
    assert not kinds[0] & kinds[1]
    assert sum(len(read_cases(accuracy.LABELLED / f"{half}.toml")) for half in accuracy.HALVES) > 200
    sample = shipped("examples/failures/sample.jsonl").read_text()
    for half in accuracy.HALVES:
        for case, place in read_cases(accuracy.LABELLED / f"{half}.toml"):
            assert f'"error_type": "{case.code}"' in sample, place


def test_the_shipped_file_is_better_than_the_ten_on_each_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert accuracy.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["the", "ten"], ["shipped", "file"]]
    for half in (*accuracy.HALVES, accuracy.ELSEWHERE):
        ten, ours = accuracy.figures(CONTRACT_RULES, half), accuracy.figures(rules(), half)
        assert ours.top_1 > ten.top_1
        assert ours.brier < ten.brier


def test_the_brier_score_of_nothing_is_that_of_seven_equal_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.toml").write_text('[[case]]\ncode = "NOTHING_OF_IT"\naction = "skip_task"\n')
    monkeypatch.setattr(accuracy, "LABELLED", tmp_path)
    assert accuracy.figures(rules(), "one").brier == pytest.approx((6 / 7) ** 2 + 6 / 49)
