"""`m10 pause`, `m10 resume` and `m10 drain`: what an operator tells a running installation to do."""

import getpass
import os
import time
from datetime import datetime
from typing import Annotated

import typer

from m10actors.cli import operations, output
from m10actors.cli.errors import CommandError, Unreachable, WrongUsage
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption
from m10actors.cli.reaching import UrlOption, reach
from m10actors.config.durations import duration
from m10actors.recovery.pauses import Part

PartsArgument = Annotated[list[Part], typer.Argument(help="One or several parts.", show_default=False)]
POLL_SECONDS = 0.2


def pause(
    parts: PartsArgument,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for those who find it paused.")],
    time_to_pause: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Ends by itself after this time, such as 2h.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            metavar="TIME",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
            help="Ends by itself at this time, local unless it says its zone.",
        ),
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pauses parts in every process of the installation, over restarts, until they are resumed or the time is over.

    intake: nothing due is taken, ingest goes on. delivery: no event is sent. jobs: none is begun. actions: nothing is
    carried out that no person has approved, from this moment on.
    """
    request: dict[str, object] = {"parts": [part.value for part in parts], "reason": why, "by": _me()}
    request |= {"for_seconds": _seconds(time_to_pause, until)}
    address, secret = reach(url, data_dir, instance, token, token_file, config_file)
    answer = operations.ask(address, "/ops/pause", secret, request)
    if as_json:
        output.document(answer)
    else:
        columns = ("part", "by", "since", "until", "reason")
        output.table(columns, ([one[name] for name in columns] for one in answer["paused"]))


def resume(
    parts: PartsArgument,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Resumes parts that were paused."""
    request = {"parts": [part.value for part in parts], "reason": why, "by": _me()}
    address, secret = reach(url, data_dir, instance, token, token_file, config_file)
    answer = operations.ask(address, "/ops/resume", secret, request)
    if as_json:
        output.document(answer)
    else:
        output.table(("resumed",), ([part] for part in answer["resumed"]))


def drain(
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Waits so long for its end; 1 if it still runs.")
    ] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
) -> None:
    """Ends a running instance as SIGTERM does: what is in hand is finished or handed back. Waits only with --wait."""
    patience = None if wait is None else _duration("--wait", wait)
    address, secret = reach(url, data_dir, instance, token, token_file, config_file)
    operations.ask(address, "/ops/drain", secret, {})
    if patience is not None:
        _wait_for_the_end(address, secret, patience)


def _wait_for_the_end(address: str, secret: str | None, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            operations.ask(address, "/healthz", secret)
        except Unreachable:
            return
        time.sleep(POLL_SECONDS)
    raise CommandError(f"{address} still answers after {seconds:g} s")


def _seconds(length: str | None, until: datetime | None) -> float | None:
    if length is not None and until is not None:
        raise WrongUsage("--for and --until are two ways to say the same: give one")
    if length is not None:
        return _duration("--for", length)
    if until is None:
        return None
    try:
        seconds = until.timestamp() - time.time()
    except (OverflowError, ValueError):  # it has no counterpart in UTC
        raise WrongUsage(f"--until: a time that the calendar does not reach, {until}") from None
    if seconds <= 0:
        raise WrongUsage("--until: the end of a pause has to lie ahead")
    return seconds


def _duration(option: str, text: str) -> float:
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        raise WrongUsage(f"{option}: expected {error}, got {text!r}") from None


def _me() -> str:
    """Who says that they ask: beside the name of the token, or `local`, it is kept as a claim."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
