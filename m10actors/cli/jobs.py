"""`m10 jobs`: the operations jobs, when each is due, how it went last, and running one now."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from m10actors.application.desk import alone
from m10actors.application.parts import Parts
from m10actors.cli import operations, output
from m10actors.cli.database import OpsDatabaseOption, address, located
from m10actors.cli.errors import ExitCode, Unreachable, WrongUsage
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.listing import operator
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption
from m10actors.cli.output import Gist, When
from m10actors.cli.reaching import UrlOption, reach
from m10actors.config.durations import duration
from m10actors.instance import new_worker_id
from m10actors.ops.desk import JobDesk
from m10actors.postgres.pool import Database

app = typer.Typer(no_args_is_help=True, help="List the operations jobs: due when, how it went; run one now.")

Address: TypeAlias = tuple[str, str | None]
"""Of operations, with the token for it."""
POLL_SECONDS: Final = 0.3
COLUMNS = ("job", "schedule", "next run", "last run", "took", "outcome", "did", "last error")

JobArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name in the list.")]
WaitOption = Annotated[
    str, typer.Option("--wait", metavar="DURATION", help="How long to wait for its end; 1 if it runs on.")
]


@app.command("list")
def list_jobs(
    url: UrlOption = None,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the jobs: schedule, when a running instance runs it next, its last run in whichever process, and what it
    did. Where no instance runs, or with --database, schedules are those of the configuration.
    """
    at = _instance(url, database, data_dir, instance, token, token_file, config_file)
    if at is not None:
        found = _states(at)
    else:
        with _alone(database, data_dir, config_file) as (desk, store):
            found = [asdict(state) for state in desk.states(store)]
    if as_json:
        output.document(found)
    else:
        output.table(COLUMNS, map(_row, found))
        if at is None:
            output.note("no instance was asked: schedules are those of the configuration, and next runs are not known")


@app.command()
def run(
    name: JobArgument,
    wait: WaitOption = "10m",
    url: UrlOption = None,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Runs a job now, under its lock, and says what it did: by the job runner of a running instance; where none runs,
    or with --database, in this process. Who asked stands in the audit.
    """
    seconds = _duration(wait)
    at = _instance(url, database, data_dir, instance, token, token_file, config_file)
    if at is not None:
        ran = _asked(at, name, seconds)
    else:
        with _alone(database, data_dir, config_file) as (desk, _):
            _known(name, desk.planned)
            ran = asdict(desk.run(name, operator()))
    if as_json:
        output.document(ran)
    else:
        (print if ran["outcome"] == "done" else output.note)(f"{name}: {_said(ran)}")
    if ran["outcome"] != "done":
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _instance(
    url: str | None,
    database: str | None,
    data_dir: Path | None,
    instance: str | None,
    token: str | None,
    token_file: Path | None,
    config_file: Path | None,
) -> Address | None:
    """The operations address of the running instance that is meant; None where none runs, or a database is named."""
    if database is not None:
        if url is not None or instance is not None:
            raise WrongUsage("--database excludes --url and --instance")
        return None
    try:
        return reach(url, data_dir, instance, token, token_file, config_file)
    except Unreachable:
        if instance is not None:
            raise
        return None


@contextmanager
def _alone(database: str | None, data_dir: Path | None, config_file: Path | None) -> Iterator[tuple[JobDesk, Database]]:
    """The jobs of the configuration, to be run in this process."""
    loaded = located("ops", database, data_dir, config_file)
    address(loaded, "ops")
    parts = Parts.of(loaded.settings, new_worker_id())
    try:
        parts.ops.open()
        yield alone(parts), parts.ops
    finally:
        parts.close()


def _states(at: Address) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operations.ask(at[0], "/ops/jobs", at[1])["jobs"]
    return found


def _asked(at: Address, name: str, seconds: float) -> Mapping[str, Any]:
    """What came of a run by the instance; one that takes long is looked after until `seconds` have passed."""
    before = {state["job"]: state["last"] for state in _states(at)}
    _known(name, before)
    ran: Mapping[str, Any] = operations.ask(at[0], "/ops/jobs/run", at[1], {"job": name, "by": operator()})
    runs, until = before[name]["runs"] if before[name] else 0, time.monotonic() + seconds
    while ran["outcome"] == "under_way" and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        last = next(state["last"] for state in _states(at) if state["job"] == name)
        if last and last["runs"] > runs:
            error = last["last_error"] if last["outcome"] == "failed" else None
            ran = {key: last[key] for key in ("job", "outcome", "seconds", "done")} | {"error": error}
    return ran


def _known(name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise WrongUsage(f"there is no job {name}, but: {', '.join(names)}")


def _duration(text: str) -> float:
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        raise WrongUsage(f"--wait: expected {error}, got {text!r}") from None


def _said(ran: Mapping[str, Any]) -> str:
    match ran["outcome"]:
        case "done":
            return f"done in {ran['seconds']:.1f} s: {_did(ran['done'])}"
        case "interrupted":
            return f"interrupted after {ran['seconds']:.1f} s, and goes on at its next run: {_did(ran['done'])}"
        case "failed":
            return f"failed: {ran['error']}"
        case "elsewhere":
            return "another process holds its lock, and runs it: m10 jobs list names it"
        case _:
            return "is still under way: m10 jobs list tells when it has ended"


def _did(done: Mapping[str, int]) -> str:
    return ", ".join(f"{what.replace('_', ' ')} {count:,}" for what, count in done.items()) or "nothing to do"


def _row(state: Mapping[str, Any]) -> tuple[object, ...]:
    seconds = state["next_seconds"]
    due = When(None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds))
    if (last := state["last"]) is None:
        return state["job"], state["schedule"], due, None, None, None, None, None
    outcome = f"{last['outcome']}, now {state['held_by']}" if state["held_by"] else last["outcome"]
    error = f"{When(_moment(last['last_error_at'])).text(drawn=True)} ago: {last['last_error']}"
    return (
        state["job"],
        state["schedule"],
        due,
        When(_moment(last["ended_at"])),
        f"{last['seconds']:.2f} s",
        outcome,
        Gist(_did(last["done"])),
        Gist(error) if last["last_error"] else None,
    )


def _moment(value: datetime | str | None) -> datetime | None:
    """Of a document, or as it is."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
