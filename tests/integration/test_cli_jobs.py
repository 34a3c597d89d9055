"""`m10 jobs`, with a running instance and without."""

import threading
from datetime import timedelta

import pytest
from cli_kit import M10Here, running
from command_kit import Command, m10  # noqa: F401 (a fixture)

from m10actors.actors.messages import JOB_RUNNER
from m10actors.ops.job import Job
from m10actors.ops.runner import Runner, renewed
from m10actors.postgres import controls, job_runs, locks
from m10actors.recovery.lease import Terms
from m10actors.recovery.pauses import Part
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

MINUTE = timedelta(minutes=1)


@pytest.fixture
def jobs(m10: Command, database: MigratedDatabase, redis_url: str) -> Command:  # noqa: F811
    for role in ("app", "ops", "metrics"):
        name = "DATABASE_URL" if role == "app" else f"M10_{role.upper()}_DATABASE_URL"
        m10.always[name] = database.url(role)
    m10.always["REDIS_URL"] = redis_url
    return m10


def test_a_job_is_run_in_the_process_of_the_command_where_no_instance_runs(
    jobs: Command, database: MigratedDatabase
) -> None:
    ran = jobs("jobs", "run", "retention")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("retention: done in ")
    assert "accepted keys 0" in ran.out
    assert jobs("jobs", "run", "matview_refresh", "--json").json["outcome"] == "done"
    listed = {state["job"]: state for state in jobs("jobs", "list", "--json").json}
    assert listed["retention"]["schedule"] == "1h"
    assert listed["retention"]["last"]["outcome"] == "done"
    assert listed["retention"]["held_by"] is None
    assert listed["execution_check"]["last"] is None
    asked = (
        "SELECT part, change, changed_by LIKE 'local:%%' FROM m10_recovery.control_log WHERE kind = 'job' ORDER BY id"
    )
    assert database.connect("ops").execute(asked).fetchall() == [
        ("retention", "ran", True),
        ("matview_refresh", "ran", True),
    ]
    plain = jobs("jobs", "list")
    assert [row[:2] for row in plain.rows if row[0] == "retention"] == [["retention", "1h"]]
    assert "no instance was asked" in plain.err


def test_an_unknown_job_names_those_that_there_are(jobs: Command) -> None:
    refused = jobs("jobs", "run", "retentoin")
    assert refused.code == 2
    assert "matview_refresh, release_stalled" in refused.err


def test_a_job_whose_lock_another_process_holds_is_left_to_it(jobs: Command, database: MigratedDatabase) -> None:
    locks.acquire(database.pool("ops"), "retention_cleanup", "another", MINUTE)
    ran = jobs("jobs", "run", "retention")
    assert (ran.code, ran.out) == (1, "")
    assert "another process holds its lock" in ran.err
    [state] = [each for each in jobs("jobs", "list", "--json").json if each["job"] == "retention"]
    assert (state["held_by"], state["last"]) == ("another", None)


def test_a_running_instance_runs_it_and_says_when_it_is_due(
    jobs: Command, database: MigratedDatabase, redis_url: str
) -> None:
    with running(M10Here(jobs.home, jobs), database, redis_url, jobs.home / ".m10" / "run") as instance:
        ran = jobs("jobs", "run", "execution_check")
        assert (ran.code, ran.err) == (0, ""), ran.err
        assert ran.out.startswith("execution_check: done in")
        listed = {state["job"]: state for state in jobs("jobs", "list", "--json").json}
        assert listed["execution_check"]["last"]["worker"] == f"{instance.facts['worker']}/{JOB_RUNNER}"
        assert 0 < listed["retention"]["next_seconds"] <= 3600
        assert jobs("jobs", "list").err == ""
        assert jobs("jobs", "run", "nothing").code == 2
        controls.pause(database.pool("ops"), [Part.JOBS], "me", "a reason", None)
        eventually(lambda: jobs("jobs", "run", "execution_check").code == 1)
        refused = jobs("jobs", "run", "execution_check")
        assert "jobs are paused by me: a reason" in refused.err
        assert jobs("jobs", "run", "execution_check", "--database", database.url("ops")).code == 0


@pytest.fixture
def ops_runner(database: MigratedDatabase) -> Runner:
    return Runner(database.pool("ops"), "w/job_runner", "job_runner", Terms.of(timedelta(seconds=1)))


def test_a_lock_is_renewed_while_the_job_runs_and_one_that_is_lost_ends_it(
    ops_runner: Runner, database: MigratedDatabase
) -> None:
    ops, sql = database.pool("ops"), database.connect("superuser")
    first = sql.execute("SELECT now()").fetchone()

    def lose(over: threading.Event) -> dict[str, int]:
        held = "SELECT expires_at > %s + interval '1.2 s' FROM m10_recovery.distributed_locks"
        eventually(lambda: sql.execute(held, first).fetchone() == (True,))
        sql.execute("DELETE FROM m10_recovery.distributed_locks")
        assert over.wait(10)
        return {"half": 1}

    ran = ops_runner.run("long", Job("a lock", lose), lambda tenure: renewed(ops, tenure))
    assert (ran.outcome, ran.done) == ("interrupted", {"half": 1})
    assert job_runs.last(ops)["long"].outcome == "interrupted"


def test_the_last_error_of_a_job_is_kept_when_it_goes_well_again(
    ops_runner: Runner, database: MigratedDatabase
) -> None:
    ops = database.pool("ops")

    def refused(_over: threading.Event) -> dict[str, int]:
        ops.value("retention_ran", {"name": "x", "archived": "no number", "deleted": 0, "days": 1})
        return {}

    failed = ops_runner.run("job", Job("a lock", refused), lambda tenure: renewed(ops, tenure), "me")
    assert failed.outcome == "failed"
    ops_runner.run("job", Job("a lock", lambda _over: {"n": 1}), lambda tenure: renewed(ops, tenure))
    last = job_runs.last(ops)["job"]
    assert (last.runs, last.outcome, last.done, last.last_error) == (2, "done", {"n": 1}, failed.error)
