"""`m10 bench`: the benchmarks, each beside its limit. They are part of the repository, not of the package."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import m10actors
from m10actors.cli.errors import WrongUsage

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="W1 to W9; all of them without.")]


def bench(
    names: NamesArgument = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One run of a little work, to see that all of it runs.")
    ] = False,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Of each side, in turn.")] = 5,
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to; bench/results.json by default.")
    ] = None,
) -> None:
    """Measures the engine beside the limit of the same machine in the same run, on servers of its own; prints the table
    and writes the figures as JSON. Needs the repository: it runs `python -m bench` in it.
    """
    words = [*(names or []), *(["--quick"] if quick else []), "--runs", str(runs)]
    if file is not None:
        words += ["--output", str(file.absolute())]
    _become(_repository(), words)


def _repository() -> Path:
    """The folder that this package is imported from, if it is a clone of the repository."""
    folder = Path(m10actors.__file__).resolve().parents[1]
    if not (folder / "bench" / "__main__.py").is_file():
        raise WrongUsage(
            "the benchmarks are not in the installed package: they need a clone of the repository, with its "
            "development tools (make bench)"
        )
    return folder


def _become(folder: Path, words: list[str]) -> NoReturn:
    """The benchmarks take the place of this process, its signals and its exit code."""
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "bench", *words])  # noqa: S606 (our own program, no shell)
