"""Which operations listener a verb means: one that is named, or that of the instance that is found."""

from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli.config import load
from m10actors.cli.errors import WrongUsage
from m10actors.cli.finding import find
from m10actors.cli.options import read_token

UrlOption = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Operations address: unix:PATH or http://127.0.0.1:8711.")
]


def reach(
    url: str | None,
    data_dir: Path | None,
    instance: str | None,
    token: str | None,
    token_file: Path | None,
    config_file: Path | None,
) -> tuple[str, str | None]:
    """The operations address that is meant, and the token for it.

    Without `url` it is that of the instance of `data_dir`, of the run folder in the configuration, of the nearest .m10,
    or of the run folder of this user.
    """
    if url is not None:
        return url, read_token(token, token_file)
    found = find(load(config_file), data_dir, instance)
    if not found.ops:
        raise WrongUsage(f"the instance {found.worker} has no operations listener")
    if sockets := [address for address in found.ops if address.startswith("unix:")]:
        return sockets[0], None
    return found.ops[0], read_token(token, token_file, found.token_file)
