"""`m10 dlq purge`: deletes dead letters that nobody wants any more."""

from dataclasses import replace
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.dlq_filter import (
    IdsArgument,
    StateOption,
    WhyOption,
    YesOption,
    chosen,
    reason_given,
    with_conditions,
)
from m10actors.cli.listing import operator
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import Count
from m10actors.postgres import purges
from m10actors.postgres.dead_letters import LetterFilter

EverythingOption = Annotated[bool, typer.Option("--all", help="All of that state.")]


@with_conditions
def purge(
    wanted: LetterFilter,
    ids: IdsArgument = None,
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
    wanted = replace(wanted, ids=tuple(ids) if ids else None, state=None if state == "any" else state)
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
