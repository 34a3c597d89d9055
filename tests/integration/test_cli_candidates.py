"""`m10 candidates`, on a real database."""

from pathlib import Path
from uuid import uuid4

import pytest
from command_kit import Command, Ran, m10  # noqa: F401 (a fixture)
from schema_kit import Lab, at_once, failure

from m10actors.cli.listing import operator
from m10actors.postgres import failures
from m10actors.postgres.verdicts import Choice, Person, decide
from m10actors.testing.database import MigratedDatabase

CONFIG = """
[destinations.receiver]
url = "https://receiver.example/hook"
[actions.retry_exponential]
event = "webhook:recovery"
destination = "receiver"
template = {retries = 3}
"""


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def candidates(m10: Command, database: MigratedDatabase, tmp_path: Path) -> Command:  # noqa: F811
    m10.always["DATABASE_URL"] = database.url("app")
    (tmp_path / "m10.toml").write_text(CONFIG)
    return m10


def evaluated(lab: Lab, times: int = 1, action: str | None = "retry_exponential") -> int:
    candidate_id = lab.open(times)
    lab.evaluate(candidate_id, action=action)
    return candidate_id


def ids(ran: Ran) -> list[int]:
    return [each["id"] for each in ran.json]


def test_a_verdict_needs_no_evaluator_to_be_there(candidates: Command, lab: Lab, tmp_path: Path) -> None:
    """Where people decide, neither its package nor its secrets have to be installed."""
    config = tmp_path / "m10.toml"
    config.write_text('[decisions]\nevaluators = ["rules", "missing"]\n' + config.read_text())
    assert candidates("candidates", "approve", str(evaluated(lab)), "-c", str(config)).code == 0


def test_candidates_are_listed_newest_first_or_the_most_frequent_first(candidates: Command, lab: Lab) -> None:
    often, once = evaluated(lab, times=4), lab.open()
    listed = candidates("candidates", "list")
    assert (listed.code, listed.err) == (0, "")
    assert [row[:6] for row in listed.rows] == [
        [str(once), "1", "TIMEOUT", "-", "0.00", "due"],
        [str(often), "4", "TIMEOUT", "retry_exponential", "0.85", "pending"],
    ]
    assert ids(candidates("candidates", "list", "--json")) == [once, often]
    assert ids(candidates("candidates", "list", "--json", "--order", "occurrences")) == [often, once]
    assert ids(candidates("candidates", "list", "--json", "--order", "oldest")) == [often, once]


def test_candidates_are_found_by_what_they_are(candidates: Command, lab: Lab) -> None:
    ours, theirs = evaluated(lab), lab.open()
    failures.ingest(lab.app, [failure(uuid4(), code="DISK_FULL")], "test")
    assert lab.reject(ours).outcome == "rejected"
    lab.sql.execute("UPDATE public.recovery_candidates SET source = 'crm' WHERE id = %s", [theirs])
    lab.sql.execute(
        "UPDATE public.recovery_candidates SET last_occurrence_at = now() - interval '3 h' WHERE id = %s", [ours]
    )
    for words, found in {
        ("--status", "rejected"): [ours],
        ("--status", "pending", "--code", "TIMEOUT"): [theirs],
        ("--source", "crm"): [theirs],
        ("--action", "retry_exponential"): [ours],
        ("--code", "TIMEOUT"): [theirs, ours],
        ("--code", "TIMEOUT", "--pending"): [theirs],
        ("--code", "TIMEOUT", "--since", "2h"): [theirs],
        ("--status", "succeeded"): [],
    }.items():
        assert ids(candidates("candidates", "list", "--json", *words)) == found, words
    shortened = candidates("candidates", "list", "--json", "--limit", "1")
    assert (len(shortened.json), shortened.err) == (1, "the first 1; there are more: --limit or --all\n")
    assert len(candidates("candidates", "list", "--json", "--limit", "1", "--all").json) == 3


def test_a_candidate_is_shown_with_its_evidence_its_history_and_its_events(candidates: Command, lab: Lab) -> None:
    candidate_id = lab.open()
    applied = lab.evaluate(candidate_id, execute=True)
    assert applied is not None
    lab.sql.execute("UPDATE public.recovery_candidates SET error_message = E'a\\x1b[2J' WHERE id = %s", [candidate_id])
    shown = candidates("candidates", "show", str(candidate_id), "--json").json
    assert [each["id"] for each in shown["events"]] == [applied.event_id]
    assert shown["provenance"][0]["event_type"] == "executed"
    text = candidates("candidates", "show", str(candidate_id)).out
    assert text.startswith(f"candidate {candidate_id}: Retry it.\n")
    assert "\x1b" not in text
    for part in ("what happened", "events", "evidence: ", "evaluation"):
        assert part in text
    missing = candidates("candidates", "show", "404")
    assert (missing.code, missing.out, missing.err) == (1, "", "m10: there is no candidate 404\n")


def test_an_approval_publishes_the_action_as_configured(candidates: Command, lab: Lab) -> None:
    candidate_id = evaluated(lab)
    approved = candidates(
        "candidates", "approve", str(candidate_id), "--note", "go", "-c", "m10.toml", "--generation", "1"
    )
    assert (approved.code, approved.err) == (0, "")
    row = lab.row(candidate_id)
    assert (row.decision, row.execution_status, row.approved_by_human, row.review_note) == (
        "approved", "executing", operator(), "go",
    )  # fmt: skip
    event = lab.event(lab.value("SELECT id FROM m10_recovery.outbox"))
    assert approved.out == f"candidate {candidate_id}: approved, event {event.id}\n"
    assert (event.destination, event.payload["data"]["template"]) == ("receiver", {"retries": 3})


def test_a_rejection_publishes_nothing(candidates: Command, lab: Lab) -> None:
    one, two = evaluated(lab), evaluated(lab)
    rejected = candidates("candidates", "reject", str(one), str(two), str(one), "--json")
    assert (rejected.code, [each["outcome"] for each in rejected.json]) == (0, ["rejected"] * 2)
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 0


def test_what_cannot_be_approved_is_told_with_the_evaluation_as_it_is_and_the_others_are(
    candidates: Command, lab: Lab
) -> None:
    due, nothing, fine = lab.open(), evaluated(lab, action=None), evaluated(lab)
    ran = candidates("candidates", "approve", str(due), str(nothing), "404", str(fine), "-c", "m10.toml")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        f"candidate {due}: an evaluation is due: look at the candidate again when it is done",
        f"candidate {nothing}: no action is proposed that could be approved",
        "candidate 404: there is no such candidate",
    ]
    assert f"{due}\t1\t0, due: 1\t-\t0.00\tpending" in ran.out
    assert lab.row(fine).decision == "approved"
    again = candidates("candidates", "approve", str(fine), "-c", "m10.toml", "--json")
    assert (again.code, again.json[0]["outcome"]) == (1, "already_decided")
    assert again.json[0]["candidate"]["decided_by"] == operator()


def test_another_evaluation_than_the_one_that_was_seen_is_not_approved(candidates: Command, lab: Lab) -> None:
    candidate_id = evaluated(lab)
    ran = candidates("candidates", "approve", str(candidate_id), "--generation", "7", "-c", "m10.toml")
    assert (ran.code, lab.row(candidate_id).decision) == (1, "pending")
    assert "was evaluated again since" in ran.err
    assert f"{candidate_id}\t1\t1\tretry_exponential\t0.85\tpending" in ran.out
    two = candidates("candidates", "approve", "1", "2", "--generation", "1")
    assert (two.code, two.out) == (2, "")


def test_without_a_destination_nothing_is_approved(candidates: Command, lab: Lab) -> None:
    candidate_id = evaluated(lab)
    ran = candidates("candidates", "approve", str(candidate_id))
    assert (ran.code, lab.row(candidate_id).decision) == (1, "pending")
    assert "the proposed action has no destination" in ran.err


def test_of_several_verdicts_at_once_one_is_written(lab: Lab) -> None:
    candidate_id = evaluated(lab)
    app = lab.database.pool("app", size=4)
    chosen, by = [Choice(candidate_id)], Person("local:op")
    outcomes = at_once([lambda: decide(app, chosen, "rejected", by, None, {})[0].outcome] * 4)
    assert sorted(outcomes) == ["already_decided"] * 3 + ["rejected"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "x"), "Invalid value for 'ID'"),
        (("approve",), "Missing argument"),
        (("approve", "1", "--generation", "0"), "Invalid value for '--generation'"),
        (("approve", "1", "--generation", str(2**31)), "Invalid value for '--generation'"),
        (("reject", "1", "--note", "x" * 4001), "a note has at most 4000 characters"),
        (("list", "--status", "aproved"), "'approved'"),
        (("list", "--status", "done"), "'succeeded'"),
        (("list", "--order", "count"), "'occurrences'"),
        (("list", "--pending", "--status", "rejected"), "exclude one another"),
        (("aprove", "1"), "Did you mean 'approve'?"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_wrong_usage_says_what_was_expected(m10: Command, words: tuple[str, ...], said: str) -> None:  # noqa: F811
    ran = m10("candidates", *words, DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.replace("│", " ").split())


def test_beside_m10_dev_its_database_and_its_actions_are_found(
    m10: Command,  # noqa: F811
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("m10actors.cli.local.DATABASE", lab.database.name)
    (tmp_path / ".m10").mkdir()
    (tmp_path / ".m10" / "socket-folder").write_text(str(lab.database.addresses.socket_dir))
    candidate_id = evaluated(lab)
    assert m10("candidates", "approve", str(candidate_id)).code == 0
    [event] = m10("outbox", "list", "--json", "--data-dir", str(tmp_path / ".m10")).json
    assert (event["candidate_id"], event["destination"]) == (candidate_id, "receiver")
    assert m10("dlq", "list", "--json").json == []
    assert m10("token", "list", "--json").json == []


def test_the_servers_of_somebody_else_are_not_trusted(m10: Command, lab: Lab, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "sockets").symlink_to(lab.database.addresses.socket_dir)
    ran = m10("candidates", "list", "--data-dir", str(tmp_path / "planted"))
    assert (ran.code, ran.out) == (69, "")
    assert "no servers were started on" in ran.err
