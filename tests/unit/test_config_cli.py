"""`m10 config`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from m10actors.cli.config import app
from m10actors.config.reference import reference


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "M10_BATCH_MAX", "XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_check_names_an_evaluator_that_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "m10.toml"
    file.write_text('[decisions]\nevaluators = ["rules", "mine"]\n[evaluators.mine]\nuse = "no_such_package:Mine"\n')
    result = run("check", "-c", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "decisions.evaluators: expected evaluators that can be made, got evaluators.mine: no_such_package:Mine" in (
        result.stderr
    )
    assert json.loads(run("check", "-c", str(file), "--json").stdout)["problems"][0]["key"] == "decisions.evaluators"


def test_check_says_ok(tmp_path: Path) -> None:
    file = tmp_path / "m10.toml"
    file.write_text("[intake]\nbatch_size = 7\n")
    result = run("check", "-c", str(file), "--set", "decisions.claim_threshold=0.5")
    assert (result.exit_code, result.stdout) == (0, "ok\n")
    assert "no meaning" in result.stderr


def test_check_says_all_that_is_wrong_and_exits_with_2() -> None:
    result = run("check", "--set", "intake.batch_size=0", "--set", "redis.url=cache")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("2 problems in the configuration:\n  ")
    result = run("check", "--json", "--set", "intake.batch_size=0")
    assert (result.exit_code, [item["key"] for item in json.loads(result.stdout)["problems"]]) == (
        2,
        ["intake.batch_size"],
    )


def test_set_wants_an_assignment() -> None:
    assert run("check", "--set", "intake.batch_size").exit_code == 2


def test_show_prints_every_setting_with_its_origin_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cret@localhost/db")
    lines = run("show", "--origin", "--set", "http.listen=127.0.0.1:1").stdout.splitlines()
    assert 'database.url = "postgresql://u:***@localhost/db"  # environment DATABASE_URL' in lines
    assert 'http.listen = "127.0.0.1:1"  # flag' in lines
    assert 'http.ops_listen = ["unix:"]  # default' in lines
    assert 'intake.claim_idle = "5m"' in run("show").stdout.splitlines()


def test_show_as_json_is_one_document() -> None:
    values = json.loads(run("show", "--json", "--origin").stdout)
    assert values["intake.batch_size"] == {"value": 50, "origin": "default"}
    assert json.loads(run("show", "--json").stdout)["outbox.lock_ttl"] == "5m"


def test_reference_prints_the_page() -> None:
    assert run("reference").stdout == reference()
    assert {"intake.batch_max", "destinations.*.url"} <= {
        item["key"] for item in json.loads(run("reference", "--json").stdout)
    }
