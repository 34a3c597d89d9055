"""`m10 dlq purge`: deletes dead letters that nobody wants any more."""

from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.dlq_filter import (
    CodeOption,
    DestinationOption,
    FingerprintOption,
    IdsArgument,
    ReasonOption,
    SourceOption,
    StageOption,
    StateOption,
    TypeOption,
    WhyOption,
    YesOption,
    chosen,
    reason_given,
)
from m10actors.cli.listing import SinceOption, UntilOption, operator
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import Count
from m10actors.postgres import purges
from m10actors.postgres.dead_letters import LetterFilter

EverythingOption = Annotated[bool, typer.Option("--all", help="All of that state.")]


def purge(
    ids: IdsArgument = None,
    stage: StageOption = None,
    reason: ReasonOption = None,
    fingerprint: FingerprintOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    event_type: TypeOption = None,
    destination: DestinationOption = None,
    source: SourceOption = None,
    code: CodeOption = None,
    state: StateOption = "replayed",
    everything: EverythingOption = False,
    why: WhyOption = None,
    yes: YesOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deletes dead letters from the archive: replayed ones, unless --state says otherwise. First it only counts them.

    What is deleted cannot be replayed. What was replayed and has not come to an end stays.
    """
    wanted = LetterFilter(
        tuple(ids) if ids else None, stage, reason, fingerprint, since, until, event_type, destination, source, code,
        None if state == "any" else state,
    )  # fmt: skip
    wanted = chosen(wanted, everything=everything)
    reason_why = reason_given(why) if yes else ""
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        planned = purges.plan(store, wanted)
        count = sum(each.count for each in planned)
        purged = purges.purge(store, wanted, operator(), reason_why) if yes and count else 0
    if as_json:
        groups = [
            {"fingerprint": each.fingerprint, "stage": each.stage, "cause": each.cause, "count": each.count}
            for each in planned
        ]
        output.document({"found": count, "purged": purged, "groups": groups})
        return
    rows = [(Count(each.count), each.stage, each.fingerprint, each.is_replayed, each.cause) for each in planned]
    output.table(("count", "stage", "group", "replayed", "reason"), rows)
    output.note(f"{purged:,} deleted" if yes else f"{count:,} would be deleted; nothing was: --yes --why TEXT")
