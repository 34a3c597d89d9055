"""`m10 explain` and `m10 rules backtest`, on what a pipeline has decided and recorded."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab

from m10actors.application.live import Rulings
from m10actors.config import load
from m10actors.evaluation import Evaluation, Work
from m10actors.postgres import failures, history
from m10actors.postgres.errors import StoreError
from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import Failure, parse
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase

OTHER_RULES = """
[[rule]]
name = "everything_late"
action = "skip_task"
score = 0.9
when = { code = ["TIMEOUT"] }

[[rule]]
name = "behind_it"
action = "notify_ops"
score = 0.5
when = { code = ["TIMEOUT"] }

[[rule]]
name = "nobody_asks"
action = "notify_ops"
score = 0.5
tier = 2
when = { code = ["TIMEOUT"] }

[[rule]]
name = "no_such_code"
action = "notify_ops"
score = 0.5
when = { code = ["NEVER_SEEN"] }
"""
CONFIG = """
decisions.auto_execute = true
[destinations.receiver]
url = "https://receiver.example/hook"
[actions.retry_exponential]
event = "webhook:recovery"
destination = "receiver"
"""


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def desk(m10: Command, database: MigratedDatabase, tmp_path: Path) -> Command:  # noqa: F811
    m10.always |= {"DATABASE_URL": database.url("app"), "M10_OPS_DATABASE_URL": database.url("ops")}
    (tmp_path / "m10.toml").write_text(CONFIG)
    return m10


@pytest.fixture
def pipeline(lab: Lab, desk: Command) -> Evaluation:
    return evaluation(lab, desk.home / "m10.toml")


def evaluation(lab: Lab, config: Path) -> Evaluation:
    rules = Rulings.of(load(config, {}, {}).settings).rules
    return Evaluation(lab.app, "host:1:abc/claim_worker.1", lambda: rules)


def failure(code: str = "TIMEOUT", source: str = "api") -> Failure:
    return parse({"failure_payload": {"error_type": code, "raw": "too slow"}, "source": source})


def report(lab: Lab, reported: list[Failure]) -> list[int]:
    """The ids of their candidates, each once."""
    return list(dict.fromkeys(accepted.candidate_id for accepted in failures.ingest(lab.app, reported, "test")))


def evaluated(lab: Lab, pipeline: Evaluation, *reported: Failure) -> list[int]:
    ids = report(lab, list(reported))
    for first in range(0, len(ids), 100):
        pipeline.evaluate([Work(candidate, None) for candidate in ids[first : first + 100]], "postgres")
    return ids


def sample(copies: int) -> list[Failure]:
    """The shipped failures, each copy from sources of its own."""
    lines = [decode(line) for line in shipped("examples/failures/sample.jsonl").read_bytes().splitlines()]
    return [parse(line | {"source": f"{line['source']}-{copy}"}) for copy in range(copies) for line in lines]


def everything(lab: Lab) -> dict[str, str]:
    """What every table holds, as a checksum."""
    names = lab.sql.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace IN ('public'::regnamespace, 'm10_recovery'::regnamespace)"
    ).fetchall()
    query = "SELECT coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM {} t"
    return {name: lab.sql.execute(query.format(name)).fetchone()[0] for (name,) in names}  # type: ignore[index]


def lines(out: str, title: str) -> list[str]:
    """What stands below a title."""
    return [line.strip() for line in out.partition(f"\n{title}\n")[2].partition("\n\n")[0].splitlines()]


class TestExplain:
    def test_tells_what_the_evaluation_saw_and_that_it_would_be_the_same_now(
        self, desk: Command, lab: Lab, pipeline: Evaluation
    ) -> None:
        [candidate] = evaluated(lab, pipeline, failure("PARSE_ERROR"))
        ran = desk("explain", str(candidate), "-c", "m10.toml")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"candidate {candidate}: no action for PARSE_ERROR, seen 1 time.")
        assert lines(ran.out, "What failed")[0].startswith("PARSE_ERROR from api, seen 1 time")
        assert lines(ran.out, "Why not by itself") == ["nothing is proposed that could be carried out"]
        assert lines(ran.out, "Since then")[1:] == ["it stands: pending", "it would be decided the same now"]
        other_name = desk("rules", "explain", str(candidate), "-c", "m10.toml")
        assert other_name.out.partition("Since then")[0] == ran.out.partition("Since then")[0]

    def test_the_change_that_it_names_changes_the_decision(self, desk: Command, lab: Lab, pipeline: Evaluation) -> None:
        [candidate] = evaluated(lab, pipeline, failure("PARSE_ERROR"))
        named = desk("explain", str(candidate), "-c", "m10.toml", "--json").json["then"]["changes"][0]
        assert (named["change"], named["action"]) == ("4 more occurrences, 5 in all", "notify_ops")
        evaluated(lab, pipeline, *[failure("PARSE_ERROR")] * 4)
        told = desk("explain", str(candidate), "-c", "m10.toml", "--json").json
        assert (told["then"]["action"], told["then"]["confidence"]) == ("notify_ops", named["confidence"])

    def test_says_what_has_changed_since_and_explains_what_would_be_decided_now(
        self, desk: Command, lab: Lab, pipeline: Evaluation
    ) -> None:
        [candidate] = evaluated(lab, pipeline, failure())
        report(lab, [failure()] * 2)
        (desk.home / "rules.toml").write_text(OTHER_RULES)
        (desk.home / "m10.toml").write_text('decisions.rules_file = "rules.toml"\n' + CONFIG.replace("true", "false"))
        ran = desk("explain", str(candidate), "-c", "m10.toml")
        since = lines(ran.out, "Since then")
        assert "it was seen 1 time then, 3 now" in since
        assert "decisions.auto_execute has another value in the configuration" in since
        assert any(line.startswith("other rules: version ") for line in since)
        assert (
            since[-1]
            == "decided now, it would be skip_task with 0.7, not by itself (needs_approval): --now explains it"
        )
        assert lines(ran.out, "What would change it")[-1].startswith("it did not go by the rules of now")
        now = desk("explain", str(candidate), "-c", "m10.toml", "--now")
        assert (
            lines(now.out, "Why skip_task")[0]
            == "everything_late: skip_task with 0.9, because the error code contains TIMEOUT"
        )
        assert "Since then" not in now.out

    def test_names_what_the_database_refused_as_the_reason(self, desk: Command, lab: Lab) -> None:
        (desk.home / "m10.toml").write_text(CONFIG + "[autonomy]\nper_source = 1\n")
        pipeline = evaluation(lab, desk.home / "m10.toml")
        evaluated(lab, pipeline, failure("TIMEOUT"), failure("DEADLINE"))
        [(refused,)] = lab.sql.execute(
            "SELECT id FROM public.recovery_candidates WHERE decision = 'pending'"
        ).fetchall()
        ran = desk("explain", str(refused), "-c", "m10.toml")
        assert lines(ran.out, "Why not by itself") == [
            "everything was in favour of it, but PostgreSQL did not admit it: capped: 1 an hour for source api"
        ]
        assert desk("explain", str(refused), "-c", "m10.toml", "--json").json["then"]["execute"] is False

    def test_says_that_an_action_follows_one_that_failed(self, desk: Command, lab: Lab, pipeline: Evaluation) -> None:
        [candidate] = evaluated(lab, pipeline, failure("HTTP_503"))
        lab.sql.execute(
            'UPDATE public.recovery_candidates SET explain = explain || \'{"follows": "x"}\', selected_action_id ='
            " (SELECT id FROM m10_recovery.suggestion_action WHERE action_code = 'fallback_model')"
        )
        since = lines(desk("explain", str(candidate), "-c", "m10.toml").out, "Since then")
        assert "fallback_model follows, because what was tried before it failed" in since

    def test_of_what_was_not_evaluated_explains_what_would_be_decided(self, desk: Command, lab: Lab) -> None:
        [candidate] = report(lab, [failure()])
        ran = desk("explain", str(candidate), "-c", "m10.toml")
        assert ran.out.splitlines()[1] == "there is no record of an evaluation; this is what would be decided now"
        assert lines(ran.out, "Why by itself") == ["every gate is open"]
        assert desk("explain", str(candidate), "-c", "m10.toml", "--json").json["then"] is None

    def test_reads_an_evaluation_that_lies_in_the_archive(self, desk: Command, lab: Lab, pipeline: Evaluation) -> None:
        [candidate] = evaluated(lab, pipeline, failure())
        archived = lab.database.pool("ops").value("archive_provenance", {"older_than": timedelta(0), "limit": 100})
        assert archived
        told = desk("explain", str(candidate), "-c", "m10.toml", "--json").json
        assert told["then"]["action"] == "retry_exponential"

    def test_what_is_no_record_is_told_apart_from_none(self, desk: Command, lab: Lab) -> None:
        candidate = lab.open()
        lab.evaluate(candidate)
        ran = desk("explain", str(candidate), "-c", "m10.toml")
        assert ran.out.splitlines()[1].startswith("no record of a decision of version 1; ")

    def test_foreign_text_controls_no_terminal(self, desk: Command, lab: Lab, pipeline: Evaluation) -> None:
        [candidate] = evaluated(lab, pipeline, failure("TIMEOUT\x1b[2J", source="a\u202eb"))
        ran = desk("explain", str(candidate), "-c", "m10.toml")
        assert "TIMEOUT\\x1b[2J from a\\u202eb" in ran.out
        assert ran.out.replace("\n", "").isprintable()

    def test_of_nothing_is_an_error(self, desk: Command) -> None:
        ran = desk("explain", "404", "-c", "m10.toml")
        assert (ran.code, ran.out, ran.err) == (1, "", "m10: there is no candidate 404\n")


class TestBacktest:
    def test_the_same_rules_come_to_every_stored_decision_again_and_nothing_is_written(
        self, desk: Command, lab: Lab, pipeline: Evaluation
    ) -> None:
        reported = sample(4)
        ids = evaluated(lab, pipeline, *reported)
        assert len(ids) >= 300
        evaluated(lab, pipeline, *reported[::2], *reported)
        before = everything(lab)
        ran = desk("rules", "backtest", "--since", "1h", "--json", "-c", "m10.toml")
        assert everything(lab) == before
        assert (ran.code, ran.err) == (0, "")
        told = ran.json
        stored = lab.sql.execute(
            "SELECT count(*) FROM m10_recovery.suggestion_provenance WHERE event_type = 'rule_evaluated'"
        ).fetchone()
        assert stored is not None
        assert told["decisions"] == told["by_these_rules"] == stored[0] > len(ids)
        assert (told["not_reproduced"], told["changed_confidence"], told["examples"]) == (0, 0, [])
        assert all(each["before"] == each["after"] for each in told["actions"])
        assert all(each["before"] == each["after"] for each in told["by_itself"])
        assert told["never_matched"]
        assert told["rules"]["timeout_retry"]["decided"] > 0

    def test_other_rules_show_what_would_be_otherwise_and_which_of_them_do_nothing(
        self, desk: Command, lab: Lab, pipeline: Evaluation
    ) -> None:
        [candidate, _] = evaluated(lab, pipeline, failure(), failure("DNS"))
        (desk.home / "other.toml").write_text(OTHER_RULES)
        ran = desk("rules", "backtest", "--rules", "other.toml", "--json", "-c", "m10.toml")
        assert ran.code == 0
        told = ran.json
        assert {(each["before"], each["after"]): each["decisions"] for each in told["actions"]} == {
            ("retry_exponential", None): 1,
            ("retry_exponential", "skip_task"): 1,
        }
        assert told["by_itself"] == [{"before": True, "after": False, "decisions": 2}]
        assert told["by_these_rules"] == 0
        [example] = [each for each in told["examples"] if each["candidate_id"] == candidate]
        assert (example["before"]["action"], example["after"]["action"]) == ("retry_exponential", "skip_task")
        assert told["rules"]["behind_it"] == {"matched": 1, "decided": 0, "shadowed": 0, "outscored": 1}
        assert told["rules"]["nobody_asks"] == {"matched": 0, "decided": 0, "shadowed": 1, "outscored": 0}
        assert (told["never_matched"], told["never_decided"]) == (["no_such_code"], ["behind_it", "nobody_asks"])
        drawn = desk("rules", "backtest", "--rules", "other.toml", "-c", "m10.toml").out
        assert lines(drawn, "Of the rules") == [
            "never matched: no_such_code",
            "matched, but always outscored or shadowed: behind_it, nobody_asks",
        ]

    def test_what_does_not_come_out_the_same_by_the_same_rules_is_listed_and_exits_with_1(
        self, desk: Command, lab: Lab, pipeline: Evaluation
    ) -> None:
        [candidate] = evaluated(lab, pipeline, failure())
        lab.sql.execute("ALTER TABLE m10_recovery.suggestion_provenance DISABLE TRIGGER append_only")
        lab.sql.execute(
            "UPDATE m10_recovery.suggestion_provenance SET details = jsonb_set(details, '{d,2}', '0.5')"
            " WHERE event_type = 'rule_evaluated'"
        )
        ran = desk("rules", "backtest", "-c", "m10.toml")
        assert ran.code == 1
        wrong = ran.out.partition("\nnot reproduced\n")[2].splitlines()[1].split("\t")
        assert wrong[:3] == [str(candidate), "1", "TIMEOUT"]
        assert wrong[3].startswith("retry_exponential 0.5, ")

    def test_what_cannot_be_decided_again_is_counted_and_said(
        self, desk: Command, lab: Lab, pipeline: Evaluation
    ) -> None:
        evaluated(lab, pipeline, failure(), failure("DNS"))
        lab.evaluate(lab.open())
        lab.sql.execute(
            "INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details)"
            " SELECT id, 'rule_evaluated', d::jsonb"
            " FROM (SELECT min(id) AS id FROM public.recovery_candidates) c,"
            """ (VALUES ('{"v": 2}'), ('{"v": 1, "d": 3}'), ('{}'), ('[7]')) AS v(d)"""
        )
        ran = desk("rules", "backtest", "-c", "m10.toml")
        assert ran.code == 0
        read = lines(ran.out, "What was read")
        assert "3 left out: without a record" in read
        assert {"1 left out: records of version 2", "1 left out: damaged records"} <= set(read)

    def test_time_and_number_narrow_it_down_and_pages_meet_without_a_seam(
        self, desk: Command, lab: Lab, pipeline: Evaluation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = evaluated(lab, pipeline, *[failure(f"CODE_{number}") for number in range(11)])
        monkeypatch.setattr(history, "PAGE", 3)
        since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
        ops = lab.database.pool("ops")
        assert sorted(candidate for candidate, _ in history.newest(ops, since, until)) == sorted(ids)
        newest = [candidate for candidate, _ in history.newest(ops, since, until, limit=7)]
        assert newest == [candidate for candidate, _ in history.newest(ops, since, until)][:7]
        assert list(history.newest(ops, since, since)) == []
        assert desk("rules", "backtest", "--limit", "4", "--json", "-c", "m10.toml").json["decisions"] == 4
        assert desk("rules", "backtest", "--until", "1h", "--json", "-c", "m10.toml").json["decisions"] == 0

    def test_its_transactions_cannot_write(self, lab: Lab) -> None:
        before = everything(lab)
        with pytest.raises(StoreError, match="read-only transaction"):
            lab.database.pool("ops").read("configure", {"settings": json.dumps({"max_retries": 1})})
        assert everything(lab) == before
