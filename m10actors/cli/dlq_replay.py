"""`m10 dlq replay`: shows what a replay would do, and does it: one, then a percent, then the rest."""

from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.dlq_entry import replay_entry
from m10actors.cli.dlq_filter import IdsArgument, WhyOption, YesOption, chosen, reason_given, with_conditions
from m10actors.cli.dlq_progress import plan_document, say_plan
from m10actors.cli.dlq_run import begun, cancel_run, hints, play, resumed
from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.cli.listing import LimitOption, operator
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import When
from m10actors.config import Loaded, durations
from m10actors.ops.replay import Pace
from m10actors.postgres import replays as store_of
from m10actors.postgres.dead_letters import LetterFilter, letters
from m10actors.postgres.pool import Database

EverythingOption = Annotated[bool, typer.Option("--all", help="All that nobody has replayed yet.")]
RateOption = Annotated[float, typer.Option("--rate", min=0.01, max=1e6, help="How many a second at most.")]
StopOption = Annotated[
    float, typer.Option("--stop-at", min=0.0, max=1.0, help="Stop when more than this ratio fails again.")
]
CapOption = Annotated[int, typer.Option("--cap", min=1, max=1000, help="How often an item is replayed at most.")]
PatienceOption = Annotated[
    str, typer.Option("--patience", metavar="TIME", help="Stop when none comes to an end for so long.")
]
ResumeOption = Annotated[
    int | None, typer.Option("--resume", metavar="REPLAY", min=1, help="Go on with this replay, where it stands.")
]
CancelOption = Annotated[
    int | None, typer.Option("--cancel", metavar="REPLAY", min=1, help="End this replay, where it stands.")
]
EditOption = Annotated[bool, typer.Option("--edit", help="Edit the fields of an entry in $EDITOR, and send it on.")]
EditFileOption = Annotated[
    Path | None,
    typer.Option(
        "--edit-file", metavar="FILE", help="The same with the fields as JSON from a file, or - (standard input)."
    ),
]


@with_conditions
def replay(
    wanted: LetterFilter,
    ids: IdsArgument = None,
    everything: EverythingOption = False,
    why: WhyOption = None,
    yes: YesOption = False,
    rate: RateOption = 100.0,
    stop_at: StopOption = 0.1,
    cap: CapOption = 3,
    patience: PatienceOption = "1m",
    resume: ResumeOption = None,
    cancel: CancelOption = None,
    edit: EditOption = False,
    edit_file: EditFileOption = None,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replays dead letters: one, then a percent, then the rest. Without --yes it only says what it would do.

    An evaluation becomes due again, an event is sent again under the same key and with the same bytes. It stops by
    itself when failures return. Interrupted or killed it goes on where it stands: --resume, or the same words again.
    """
    wanted = replace(wanted, ids=tuple(ids)) if ids else replace(wanted, state="waiting")
    loaded, pace = located("ops", database, data_dir, config_file), Pace(rate, _duration(patience))
    with opened(loaded, "ops") as store:
        if cancel is not None:
            cancel_run(store, cancel, as_json=as_json)
        elif resume is not None:
            play(loaded, store, resumed(store, resume), pace, as_json=as_json)
        elif edit or edit_file is not None:
            _edit(loaded, store, ids, edit_file, reason_given(why), as_json=as_json)
        elif yes:
            run = begun(store, _there(store, chosen(wanted, everything=everything)), cap, stop_at, reason_given(why))
            if run is None:
                _say_nothing(as_json=as_json)
            else:
                play(loaded, store, run, pace, as_json=as_json)
        else:
            planned = store_of.plan(store, _there(store, chosen(wanted, everything=everything)), cap)
            output.document(plan_document(planned)) if as_json else say_plan(planned)


def replays(
    limit: LimitOption = 50,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists replays, newest first: who asked for them and why, and where they stand."""
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = store_of.runs(store, limit)
    if as_json:
        output.document([asdict(each) for each in found])
        return
    rows = [
        (each.id, each.state, When(each.created_at), each.asked_by, each.why, each.note, dict(each.wanted))
        for each in found
    ]
    output.table(("replay", "state", "begun", "by", "why", "stands", "filter"), rows)


def _there(store: Database, wanted: LetterFilter) -> LetterFilter:
    """`wanted`; CommandError where it names a number that no dead letter has."""
    if wanted.ids:
        found = {letter.id for letter in letters(store, LetterFilter(wanted.ids), None).rows}
        if missing := [str(each) for each in wanted.ids if each not in found]:
            raise CommandError(f"there is no dead letter {', '.join(missing)}")
    return wanted


def _duration(text: str) -> timedelta:
    try:
        return durations.duration(text)
    except ValueError:
        raise WrongUsage(f"--patience: expected {durations.EXPECTED}") from None


def _edit(
    loaded: Loaded, store: Database, ids: list[int] | None, file: Path | None, why: str, *, as_json: bool
) -> None:
    if not ids or len(ids) != 1:
        raise WrongUsage("one entry is edited at a time: m10 dlq replay ID --edit")
    with hints(loaded, store) as told:
        done = replay_entry(store, told, ids[0], file, operator(), why)
    if as_json:
        output.document(asdict(done))
    elif done.outcome == "nothing_due":
        output.note(f"dead letter {ids[0]} is settled: its candidate was evaluated meanwhile")
    else:
        output.note(f"dead letter {ids[0]} is replayed: its candidate is evaluated with generation {done.generation}")


def _say_nothing(*, as_json: bool) -> None:
    if as_json:
        output.document({"replayable": 0})
    else:
        output.note("nothing of it can be replayed; without --yes it says why")
