"""Options that several verbs share, and the words in which an option names the setting that it stands for."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli.errors import WrongUsage
from m10actors.config.keys import keys
from m10actors.config.reference import literal

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Data folder of a running m10 dev.", show_default=False)
]
RulesOption = Annotated[
    Path | None, typer.Option("--rules", metavar="FILE", help="The rules; by default those of the configuration.")
]
InstanceOption = Annotated[
    str | None,
    typer.Option("--instance", metavar="WORKER", help="Which of several instances: its worker id, or its pid."),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="TEXT", help="Token; others can see it here, so better --token-file or M10_TOKEN."),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", exists=True, dir_okay=False, help="File that holds the token."),
]

_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")


def setting(path: str) -> str:
    """The help of an option that stands for the setting at `path`: its sentence, key, environment name and default."""
    key = keys()[path]
    names = [path, f"environment {key.env.name}"] if key.env else [path]
    if default := literal(key.default):
        names.append(f"default {default}")
    return f"{key.sentence.replace('`', '').removesuffix('.')} ({', '.join(names)})."


def read_token(text: str | None, file: Path | None, kept: Path | None = None) -> str | None:
    """The token: the text or file that was named, else the one `kept` in a data folder, else M10_TOKEN, else None."""
    if text is None and (file := file or kept) is not None:
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUsage(f"{file} cannot be read as a token: {type(error).__name__}") from error
    text = text or os.environ.get("M10_TOKEN")
    if text and not _TOKEN.fullmatch(text.strip()):
        raise WrongUsage("what was given as a token is none: one word of printable ASCII characters")
    return text.strip() if text else None
