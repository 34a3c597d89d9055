"""`m10 top`: a running instance, live: its stores and depths, what it does per second, its tree."""

import select
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m10actors import logs
from m10actors.cli import operations, output, views
from m10actors.cli.errors import Unreachable, WrongUsage
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.keys import single_keys
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption
from m10actors.cli.reaching import UrlOption, reach
from m10actors.config.durations import duration

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Look:
    """What the instance said, and what it did per second since the look before (since its start, in the first one)."""

    status: Mapping[str, Any]
    tree: Mapping[str, Any]
    per_second: Mapping[str, float]


def top(
    every: Annotated[str, typer.Option("--every", metavar="DURATION", help="Pause between two looks.")] = "2s",
    once: Annotated[bool, typer.Option("--once", help="Looks once and ends.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """A running instance, live in the terminal; q or Ctrl-C ends it. Without a terminal, plain text again and again."""
    try:
        seconds = duration(every).total_seconds()
    except ValueError as error:
        raise WrongUsage(f"--every: expected {error}, got {every!r}") from None

    def find() -> tuple[str, str | None]:
        return reach(url, data_dir, instance, token, token_file, config_file)

    looks = _looks(find)
    with suppress(KeyboardInterrupt):
        if as_json:
            found = next(looks)
            output.document({"status": found.status, "tree": found.tree, "per_second": found.per_second})
        elif once:
            _print(next(looks))
        elif sys.stdout.isatty() and sys.stdin.isatty():
            _live(find, seconds)
        else:
            _again_and_again(looks, seconds)


def _looks(find: Callable[[], tuple[str, str | None]]) -> Iterator[Look]:
    """One for each time that it is asked; Unreachable once the instance does not answer."""
    address, secret = find()
    before: Mapping[str, Any] | None = None
    while True:
        status = operations.ask(address, "/ops/status", secret)
        yield Look(status, operations.ask(address, "/ops/tree", secret), views.rates(before, status))
        before = status


def _again_and_again(looks: Iterator[Look], seconds: float) -> None:
    for found in looks:
        output.heading(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}")
        _print(found)
        sys.stdout.write("\n")
        sys.stdout.flush()
        select.select([], [], [], seconds)


def _print(found: Look) -> None:
    output.table(views.GLANCE, views.glance(found.status))
    rates = [(name.replace("_", " "), rate) for name, rate in found.per_second.items()]
    output.section("per second", ("what", "rate"), rates)
    output.section("tree", views.CHILDREN, list(views.children(found.tree)))


def _live(find: Callable[[], tuple[str, str | None]], seconds: float) -> None:
    """An instance that goes away is looked for again: after a restart its successor is shown."""
    from rich.live import Live
    from rich.text import Text

    with single_keys(), Live(screen=True, auto_refresh=False) as live:
        looks = _looks(find)
        while True:
            try:
                live.update(_drawn(next(looks)), refresh=True)
            except Unreachable as error:
                live.update(Text(logs.escape(str(error))), refresh=True)
                looks = _looks(find)
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            if ready and sys.stdin.read(1) in {"q", "Q", ""}:
                return


def _drawn(found: Look) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    rates = "   ".join(f"{name.replace('_', ' ')} {rate:,.1f}/s" for name, rate in found.per_second.items())
    return Group(
        _table(views.GLANCE, views.glance(found.status)),
        Text(f"\n{rates}\n"),
        _table(views.CHILDREN, views.children(found.tree)),
        Text("\nq ends", style="dim"),
    )


def _table(columns: tuple[str, ...], rows: Iterator[views.Row]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        cells = [logs.escape(str(cell)) if cell not in (None, "") else "-" for cell in row]
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in cells))
    return drawn


_STYLES: Mapping[str, str] = {
    "down": "bold red",
    "not_ready": "bold red",
    "nobody": "bold red",
    "waiting": "red",
    "degraded": "yellow",
    "draining": "yellow",
    "parked": "yellow",
    "stopping": "yellow",
    "starting": "yellow",
    "ready": "green",
    "up": "green",
}
