"""`m10 dlq`: what was given up, in groups, in a list, and one in full."""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.cli.listing import AllOption, LimitOption, SinceOption, say_more
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import Count, When
from m10actors.postgres import dead_letters
from m10actors.postgres.dead_letters import Kind, Letter, LetterAccount, LetterFilter, LetterGroup
from m10actors.postgres.inspection import Listed

app = typer.Typer(no_args_is_help=True, help="List and show dead letters: what was given up, and why.")


_NAME = re.compile(r"[\x21-\x7e]{1,200}")

NameArgument = Annotated[str, typer.Argument(metavar="ID", help="Its number in the list, or its dl_msg_id.")]
KindOption = Annotated[
    Kind | None,
    typer.Option("--kind", help="Evaluations, outbox events, entries of the stream, or those of other programs."),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="With this reason, or this before the colon of it.")
]
GroupedOption = Annotated[bool, typer.Option("--grouped", help="Counts by kind and reason instead.")]


@app.command("list")
def list_letters(
    kind: KindOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    grouped: GroupedOption = False,
    limit: LimitOption = 50,
    everything: AllOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists dead letters, newest first, or how many there are of each kind and reason."""
    wanted, most = LetterFilter(kind, reason, since), None if everything else limit
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        if grouped:
            _list_groups(dead_letters.groups(store, wanted, most), as_json=as_json)
        else:
            _list(dead_letters.letters(store, wanted, most), as_json=as_json)


@app.command()
def show(
    name: NameArgument,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows a dead letter: what died and why, its fields as they came, its other deaths, who replayed it."""
    if not _NAME.fullmatch(name):
        raise WrongUsage("a dead letter is named by its number in the list, or by its dl_msg_id")
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = dead_letters.letter(store, name)
    if found is None:
        raise CommandError(f"there is no dead letter {name}")
    if as_json:
        output.document(asdict(found))
    else:
        _show(found)


def _list(found: Listed[Letter], *, as_json: bool) -> None:
    if as_json:
        output.document([asdict(each) for each in found.rows])
    else:
        output.table(("id", "kind", "when", "candidate", "event", "died", "reason"), map(_row, found.rows))
    say_more(found)


def _list_groups(found: Listed[LetterGroup], *, as_json: bool) -> None:
    if as_json:
        output.document([asdict(each) for each in found.rows])
    else:
        output.table(("count", "kind", "reason", "oldest", "newest", "newest id"), map(_group_row, found.rows))
    say_more(found)


def _row(letter: Letter) -> tuple[object, ...]:
    died, when = letter.original_msg_id, When(letter.dead_lettered_at)
    return letter.id, letter.kind, when, letter.candidate_id, letter.event_id, died, letter.reason


def _group_row(group: LetterGroup) -> tuple[object, ...]:
    oldest, newest = When(group.oldest_at), When(group.newest_at)
    return Count(group.count), group.kind, group.cause, oldest, newest, group.newest_id


def _show(letter: LetterAccount) -> None:
    apart = ("payload", "deaths", "replays")
    about = {name: value for name, value in asdict(letter).items() if name not in apart}
    output.record(f"dead letter {letter.id}", about)
    replays = [(When(each.at), each.by, each.why, each.dl_msg_id) for each in letter.replays]
    output.section("replays", ("when", "by", "why", "dl_msg_id"), replays)
    deaths = [(each.id, When(each.dead_lettered_at), each.reason, each.dl_msg_id) for each in letter.deaths]
    output.section("its other deaths", ("id", "when", "reason", "dl_msg_id"), deaths)
    rest = letter.payload
    if isinstance(rest, Mapping) and isinstance(fields := rest.get("fields"), Mapping):
        output.section(
            "fields as they came", ("name", "value"), [(name, _raw(value)) for name, value in fields.items()]
        )
        rest = {name: value for name, value in rest.items() if name != "fields"}
    output.pretty("payload", rest)


def _raw(value: object) -> str:
    """A field of a stream entry: text as it was, bytes that are no text with escapes (streams.codec.as_json)."""
    match value:
        case {"base64": str(encoded), "bytes": int(length)}:
            with suppress(ValueError):  # base64 of somebody else
                return f"{str(b64decode(encoded))[2:-1]} ({length} bytes)"
    return str(value)
