"""The options of every verb that reads the configuration. Imports little, as `m10 run` must before it hears signals."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="TOML file; none by default.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Sets one key; may be repeated.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
