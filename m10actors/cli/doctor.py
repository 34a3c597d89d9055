"""`m10 doctor`: what an operator does to the stores by hand, done safely."""

from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import WrongUsage
from m10actors.cli.options import DataDirOption
from m10actors.postgres import locks

BumpOption = Annotated[
    bool,
    typer.Option(
        "--bump-epochs", help="Raise the epoch of every lock above all that were ever given: after a restore, once."
    ),
]


def doctor(
    bump_epochs: BumpOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sets right what a restore leaves behind.

    A database that was restored from a copy gives epochs once more that receivers have seen, and they refuse what comes
    with them (412). Whoever leads at that moment steps down, and is elected again.
    """
    if not bump_epochs:
        raise WrongUsage("say what is to be done: --bump-epochs")
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        bumped = locks.bump_epochs(store)
    if as_json:
        output.document([{"lock": name, "before": before, "epoch": now} for name, before, now in bumped])
    else:
        output.table(("lock", "before", "epoch"), bumped)
