"""`m10 status` and `m10 tree`: what a running instance says about itself."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from m10actors.cli import operations, output
from m10actors.cli.config import ConfigOption, JsonOption, load
from m10actors.cli.errors import WrongUsage
from m10actors.cli.finding import find
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption, read_token

UrlOption = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Operations address: unix:PATH or http://127.0.0.1:8711.")
]


def status(
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """A running instance at a glance: its dependencies, depths and ages.

    Without --url it is the one of --data-dir, of the run folder in the configuration, of the nearest .m10, or of the
    run folder of this user.
    """
    address, secret = _reached(url, data_dir, instance, token, token_file, config_file)
    answer = operations.ask(address, "/ops/status", secret)
    if as_json:
        output.document(answer)
    else:
        output.table(("what", "value"), _flat(answer))


def tree(
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The supervision tree of a running instance: each child, what it does, its restarts and why it last ended."""
    address, secret = _reached(url, data_dir, instance, token, token_file, config_file)
    answer = operations.ask(address, "/ops/tree", secret)
    if as_json:
        output.document(answer)
    else:
        columns = ("child", "phase", "age_s", "restarts", "mailbox", "doing", "last_exit")
        output.table(columns, _children(answer))


def _reached(
    url: str | None,
    data_dir: Path | None,
    instance: str | None,
    token: str | None,
    token_file: Path | None,
    config_file: Path | None,
) -> tuple[str, str | None]:
    """The operations address that is meant, and the token for it."""
    if url is not None:
        return url, read_token(token, token_file)
    found = find(load(config_file), data_dir, instance)
    if not found.ops:
        raise WrongUsage(f"the instance {found.worker} has no operations listener")
    if sockets := [address for address in found.ops if address.startswith("unix:")]:
        return sockets[0], None
    return found.ops[0], read_token(token, token_file, found.token_file)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """A document as (dotted path, value)."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _children(child: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[object, ...]]:
    fields = (child.get(name) for name in ("phase", "age", "restarts", "mailbox", "doing", "last_exit"))
    yield ("  " * depth + str(child.get("id")), *fields)
    for inner in child.get("children", ()):
        yield from _children(inner, depth + 1)
