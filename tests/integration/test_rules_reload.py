"""The rules of a running engine: read again on SIGHUP, kept where the new ones cannot be used, off where one fails."""

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from life_kit import Engine

from m10actors.client import RecoveryClient
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

QUICK = {"intake.poll_interval": "100ms", "intake.sweep_after": "100ms"}


def rule(action: str, when: str, name: str = "mine") -> str:
    return f'[[rule]]\nname = "{name}"\naction = "{action}"\nscore = 0.9\nwhen = {when}\n'


@pytest.fixture
def engine(tmp_path: Path, database: MigratedDatabase, redis_url: str) -> Iterator[Engine]:
    made = Engine(tmp_path, database, redis_url, QUICK | {"decisions.rules_file": "mine.toml"})
    yield made
    made.close()


def decided(engine: Engine, code: str, message: str = "") -> str | None:
    """What is proposed for a new failure."""
    with RecoveryClient(engine.database.url("app"), source="test") as client:
        stored = client.ingest(error_code=code, error_message=message, failure_match_id=str(uuid4()))
    query = "SELECT evaluated_generation, suggestion FROM recovery_candidates WHERE id = %s"
    connection = engine.database.connect("app")
    row = eventually(
        lambda: (found := connection.execute(query, [stored.candidate_id]).fetchone()) and found[0] and found, within=30
    )
    return str(row[1]).partition(" ")[0]


def thresholds(engine: Engine) -> list[int]:
    [row] = engine.database.connect("ops").execute("SELECT recheck_thresholds FROM m10_recovery.settings").fetchall()
    return list(row[0])


def test_rules_are_read_again_and_the_thresholds_with_them(engine: Engine) -> None:
    file = engine.folder / "mine.toml"
    file.write_text(rule("skip_task", '{ code_word = ["ODD"] }'))
    process = engine.start()
    assert decided(engine, "ODD") == "skip_task"
    assert thresholds(engine) == []

    file.write_text(
        rule("rollback_state", '{ code_word = ["ODD"] }')
        + rule("notify_ops", "{ occurrences = { at_least = 7 } }", "often")
    )
    process.send_signal(signal.SIGHUP)
    [done] = eventually(lambda: engine.events("reloaded"))
    assert done["rules"]
    assert decided(engine, "ODD") == "rollback_state"
    assert thresholds(engine) == [7]
    assert engine.end() == 0


def test_a_file_that_cannot_be_used_keeps_the_rules_and_says_why(engine: Engine) -> None:
    file = engine.folder / "mine.toml"
    file.write_text(rule("skip_task", '{ code_word = ["ODD"] }'))
    process = engine.start()
    file.write_text(rule("skip_task", '{ message = "(" }') + rule("x", "{}"))
    process.send_signal(signal.SIGHUP)
    problems = eventually(lambda: len(found := engine.events("reload_refused")) == 3 and found)
    assert ["missing" in problem["problem"] for problem in problems or ()] == [True, False, False]
    assert engine.events("reloaded") == []
    assert decided(engine, "ODD") == "skip_task"
    assert engine.end() == 0


def test_a_rule_that_takes_too_long_is_switched_off_until_the_next_reload(engine: Engine) -> None:
    file = engine.folder / "mine.toml"
    heavy, message = "(a.{0,200}b.{0,200}c)y", "".join(random.Random(1).choices("ab", k=16_384))
    file.write_text(
        rule("skip_task", f"{{ message = '{heavy}' }}", "heavy") + rule("notify_ops", '{ code_word = ["ODD"] }')
    )
    engine.settings["decisions.rule_time_limit"] = "1ms"
    process = engine.start()
    assert decided(engine, "ODD", message) == "notify_ops"
    [off] = engine.events("rule_switched_off")
    assert (off["rule"], off["why"].partition(":")[0]) == ("heavy", "PatternTooSlow")
    assert decided(engine, "ODD", message) == "notify_ops"
    assert len(engine.events("rule_switched_off")) == 1

    process.send_signal(signal.SIGHUP)
    eventually(lambda: engine.events("reloaded"))
    assert decided(engine, "ODD", message) == "notify_ops"
    assert len(engine.events("rule_switched_off")) == 2
    assert engine.end() == 0


def test_an_action_that_the_database_does_not_know_is_said(engine: Engine) -> None:
    (engine.folder / "mine.toml").write_text(rule("page_me", '{ code_word = ["ODD"] }'))
    engine.start()
    [unknown] = eventually(lambda: engine.events("rule_action_unknown"))
    assert unknown["actions"] == "page_me"
    assert engine.end() == 0


def test_the_dry_run_goes_by_the_rules_of_the_engine(engine: Engine) -> None:
    file = engine.folder / "mine.toml"
    file.write_text(rule("skip_task", '{ code_word = ["ODD"] }'))
    process = engine.start()
    made = engine.m10("token", "new", "reader", "--scope", "recovery:read", "--json")
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}
    url = f"{engine.facts()['api']}/api/v1/recovery/evaluate"

    def proposed() -> object:
        return httpx.post(url, json={"error_code": "ODD"}, headers=headers).json()["action"]

    assert proposed() == "skip_task"
    file.write_text(rule("notify_ops", '{ code_word = ["ODD"] }'))
    process.send_signal(signal.SIGHUP)
    eventually(lambda: engine.events("reloaded"))
    assert proposed() == "notify_ops"
    assert engine.end() == 0


def test_an_engine_does_not_begin_with_rules_that_cannot_be_used(engine: Engine) -> None:
    (engine.folder / "mine.toml").write_text("[[rule]]\n")
    assert engine.launch().wait(30) == 2
    assert "rule 1: name: expected a name" in engine.log.read_text()
