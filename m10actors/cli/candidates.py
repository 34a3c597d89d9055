"""`m10 candidates`: what waits for a verdict, why, and the verdict itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli import candidate_views, output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import AppDatabaseOption, located, opened
from m10actors.cli.deciding import desk, tell
from m10actors.cli.errors import CommandError, ExitCode, WrongUsage
from m10actors.cli.listing import AllOption, IdArgument, IdsArgument, LimitOption, SinceOption, note, say_more
from m10actors.cli.options import DataDirOption
from m10actors.postgres import candidates
from m10actors.postgres.candidates import Candidate, CandidateFilter, Order, StatusWord
from m10actors.postgres.inspection import Listed
from m10actors.postgres.verdicts import Choice, DecisionWord, Verdict, said, standing

app = typer.Typer(no_args_is_help=True, help="List candidates, show one, approve or reject what is proposed for some.")


PendingOption = Annotated[bool, typer.Option("--pending", help="Without a verdict: --status pending.")]
StatusOption = Annotated[
    StatusWord | None, typer.Option("--status", help="With this verdict, or with an action that stands so.")
]
SourceOption = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Reported by this source.")]
CodeOption = Annotated[str | None, typer.Option("--code", metavar="CODE", help="With this error code.")]
ActionOption = Annotated[str | None, typer.Option("--action", metavar="CODE", help="For which this is proposed.")]
OrderOption = Annotated[Order, typer.Option("--order", help="What comes first.")]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why; it is kept with the verdict.")]
GenerationOption = Annotated[
    int | None,
    typer.Option(
        "--generation", min=1, max=2**31 - 1, help="The evaluation that you saw; refused if it is not the last."
    ),
]


@app.command("list")
def list_candidates(
    pending: PendingOption = False,
    status: StatusOption = None,
    source: SourceOption = None,
    code: CodeOption = None,
    action: ActionOption = None,
    since: SinceOption = None,
    order: OrderOption = "newest",
    limit: LimitOption = 50,
    everything: AllOption = False,
    database: AppDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists candidates. --since asks when they were last seen."""
    if pending and status not in {None, "pending"}:
        raise WrongUsage(f"--pending and --status {status} exclude one another")
    decision, execution = candidates.split("pending" if pending else status)
    wanted = CandidateFilter(
        decision=decision,
        execution_status=execution,
        source=source,
        error_code=code,
        action=action,
        since=since,
        order=order,
    )
    most = 2**31 - 2 if everything else limit
    with opened(located("app", database, data_dir, config_file), "app") as store:
        found = candidates.page(store, wanted, most + 1).items
    listed = Listed(found[:most], more=len(found) > most, searched_all=True)
    if as_json:
        output.document([asdict(each) for each in listed.rows])
    else:
        candidate_views.table(listed.rows)
    say_more(listed)


@app.command()
def show(
    candidate_id: IdArgument,
    database: AppDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows a candidate: what failed, what is proposed and why, what was done about it."""
    with opened(located("app", database, data_dir, config_file), "app") as store:
        found = candidates.one(store, candidate_id)
    if found is None:
        raise CommandError(f"there is no candidate {candidate_id}")
    if as_json:
        output.document(asdict(found))
    else:
        candidate_views.show(found)


@app.command()
def approve(
    candidate_ids: IdsArgument,
    why: NoteOption = None,
    generation: GenerationOption = None,
    database: AppDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approves what is proposed, all in one transaction: the actions are published, and delivered at once."""
    _decide("approved", candidate_ids, why, generation, database, data_dir, config_file, as_json=as_json)


@app.command()
def reject(
    candidate_ids: IdsArgument,
    why: NoteOption = None,
    generation: GenerationOption = None,
    database: AppDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rejects what is proposed: nothing is done, until the failure comes again much later or much more often."""
    _decide("rejected", candidate_ids, why, generation, database, data_dir, config_file, as_json=as_json)


def _decide(
    decision: DecisionWord,
    candidate_ids: list[int],
    why: str | None,
    generation: int | None,
    database: str | None,
    data_dir: Path | None,
    config_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """All in one transaction, in the same way as `POST /approve/batch`."""
    reason, chosen = note(why), [Choice(each, generation) for each in dict.fromkeys(candidate_ids)]
    if generation is not None and len(chosen) > 1:
        raise WrongUsage("--generation names the evaluation of one candidate: decide one at a time with it")
    with desk(database, data_dir, config_file) as at:
        decided = at.decide(chosen, decision, reason)
        refused = {
            each.candidate_id: candidates.one(at.database, each.candidate_id)
            for each in decided
            if standing(each.outcome) == "refused"
        }
    tell(decided, database, data_dir, config_file)
    if as_json:
        output.document([_told(each, refused.get(each.candidate_id)) for each in decided])
    for each in decided if not as_json else ():
        _say(each, refused.get(each.candidate_id))
    if refused:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _told(verdict: Verdict, current: Candidate | None) -> dict[str, object]:
    """A verdict as a document; of a refused one with the candidate as it stands."""
    message = None if standing(verdict.outcome) == "decided" else said(verdict.outcome)
    told = asdict(verdict) | {"message": message}
    return told if current is None else told | {"candidate": asdict(current)}


def _say(verdict: Verdict, current: Candidate | None) -> None:
    if standing(verdict.outcome) != "refused":
        published = f", event {verdict.event_id}" if verdict.event_id else ""
        print(f"candidate {verdict.candidate_id}: {said(verdict.outcome)}{published}")
        return
    output.note(f"candidate {verdict.candidate_id}: {said(verdict.outcome)}")
    if current is not None:
        candidate_views.standing(current)
