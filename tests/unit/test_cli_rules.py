"""`m10 rules`, and the rule file in `m10 config check`."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from m10actors.cli.config import app as config_app
from m10actors.cli.rules import app
from m10actors.config import ConfigError
from m10actors.rulebook import load, tables
from m10actors.rulebook.tables import known_keys
from m10actors.shipped import shipped

RULE = '[[rule]]\nname = "mine"\naction = "page_me"\nscore = 0.9\nwhen = { code_word = ["MINE"] }\n'
CASE = '[[case]]\ncode = "MINE"\naction = "page_me"\nconfidence = 0.9\nrule = "mine"\n'


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def placed(folder: Path, rules: str = RULE, cases: str = CASE) -> tuple[Path, Path]:
    (folder / "mine.toml").write_text(rules)
    (folder / "cases.toml").write_text(cases)
    return folder / "mine.toml", folder / "cases.toml"


def test_check_says_how_many_rules_there_are() -> None:
    result = run("check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("ok: ")
    told = json.loads(run("check", "--json").stdout)
    assert (told["ok"], told["tiers"]["1"], told["rules"]) == (True, 10, told["active"])
    assert told["version"] in result.stdout


def test_check_names_everything_that_is_wrong_and_exits_with_2(tmp_path: Path) -> None:
    rules, _ = placed(tmp_path, RULE.replace("0.9", "9") + RULE)
    result = run("check", rules)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("2 problems in the configuration:\n  rule mine: score: expected a number")
    told = json.loads(run("check", rules, "--json").stdout)
    assert [problem["key"] for problem in told["problems"]] == ["rule mine: score", "rule mine: name"]


def test_an_action_that_nobody_seeds_is_a_notice(tmp_path: Path) -> None:
    rules, _ = placed(tmp_path)
    result = run("check", rules)
    assert (result.exit_code, result.stderr) == (
        0,
        "notice: page_me is none of the seeded actions: it has to be an active row of suggestion_action\n",
    )
    assert len(json.loads(run("check", rules, "--json").stdout)["notices"]) == 1


def test_the_rules_of_the_configuration_lie_beside_its_file(tmp_path: Path) -> None:
    placed(tmp_path)
    config = tmp_path / "m10.toml"
    config.write_text('[decisions]\nrules_file = "mine.toml"\n')
    assert [rule["rule"] for rule in json.loads(run("list", "-c", config, "--json").stdout)["list"]] == ["mine"]


def test_config_check_looks_at_the_rules_too(tmp_path: Path) -> None:
    placed(tmp_path, RULE.replace("0.9", "9"))
    config = tmp_path / "m10.toml"
    config.write_text('[decisions]\nrules_file = "mine.toml"\n')
    result = CliRunner().invoke(config_app, ["check", "-c", str(config)])
    assert result.exit_code == 2
    assert "rule mine: score" in result.stderr


def test_cases_that_come_out_right_exit_with_0(tmp_path: Path) -> None:
    rules, cases = placed(tmp_path)
    result = run("test", cases, "--rules", rules)
    assert (result.exit_code, result.stdout) == (0, "1 cases, 0 wrong\n")


def test_cases_that_come_out_wrong_are_told_and_exit_with_1(tmp_path: Path) -> None:
    wrong = '[[case]]\ncode = "OTHER"\naction = "page_me"\nconfidence = [0.5, 1]\nrule = "mine"\n'
    rules, cases = placed(tmp_path, cases=CASE + wrong)
    result = run("test", cases, "--rules", rules)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "case 2, OTHER: action: expected page_me, got none; confidence: expected 0.5 to 1, got 0; "
        "rule: expected mine, got none",
        "2 cases, 1 wrong",
    ]
    told = json.loads(run("test", cases, "--rules", rules, "--json").stdout)
    assert (told["cases"], [each["case"] for each in told["wrong"]]) == (2, ["case 2"])


def test_cases_may_be_json_lines(tmp_path: Path) -> None:
    rules, _ = placed(tmp_path)
    lines = tmp_path / "cases.jsonl"
    lines.write_text('{"code": "MINE", "action": "page_me"}\n\n{"code": "MINE", "action": "none"}\n')
    result = run("test", lines, "--rules", rules)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (
        1,
        "line 3, MINE: action: expected none, got page_me (by mine)",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[case]]\ncode = "X"\n', "case 1: action: expected a text of 1 to 512 characters, got nothing"),
        ('[[case]]\naction = "x"\ncodes = "X"\n', "did you mean code?"),
        ('[[case]]\naction = "x"\nconfidence = [0.9, 0.1]\n', "the least confidence before the most"),
        ('[[case]]\naction = "x"\nconfidence = "high"\n', "a number from 0 to 1"),
        ("", "one [[case]] table at least"),
    ],
)
def test_cases_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    rules, cases = placed(tmp_path, cases=text)
    result = run("test", cases, "--rules", rules)
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    lines = tmp_path / "cases.jsonl"
    lines.write_text('{"action": "x"}\nnonsense\n')
    with pytest.raises(ConfigError, match="line 2"):
        raise run("test", lines).exception or AssertionError


def test_list_says_in_words_when_a_rule_holds() -> None:
    result = run("list")
    assert "timeout_retry\t1\tretry_exponential\t0.85\tyes\tthe error code contains TIMEOUT, DEADLINE or TIMED_OUT" in (
        result.stdout
    )
    assert json.loads(run("list", shipped("config/rules.toml"), "--json").stdout)["list"][0]["rule"] == "timeout_retry"


PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def test_the_example_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    rule, cases = re.findall(r"(?ms)^```toml\n(.*?)^```", PAGE)
    for before in ("", shipped("config/rules.toml").read_text()):
        rules, file = placed(tmp_path, before + rule, cases)
        assert run("test", file, "--rules", rules).stdout == "2 cases, 0 wrong\n"
    faulty = re.sub(r"score = .*", "score = 9", rule).replace("|out)", "")
    rules, _ = placed(tmp_path, faulty.replace("|cover open", ""))
    said = run("check", rules).stderr.replace(str(rules), "rules.toml")
    assert said == re.findall(r"(?ms)^```text\n(.*?)^```", PAGE)[0]


def test_the_page_has_every_key_and_every_rule_that_ships() -> None:
    named = set(re.findall(r"`([^`\n]+)`", PAGE))
    assert {*known_keys(tables.Rule), *known_keys(tables.Condition)} <= named
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (\w+ \| [\d.]+) \|", PAGE))
    rules = load(shipped("config/rules.toml")).rules[10:]
    assert rows == {rule.name: f"{rule.action} | {rule.score:.2f}" for rule in rules}
