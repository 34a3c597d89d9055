"""`m10 dlq`: what was given up, in groups, in a list, and one in full."""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Annotated

import typer

from m10actors.cli import dlq_purge, dlq_replay, output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.dlq_filter import StateOption, StateWord, with_conditions
from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.cli.listing import AllOption, LimitOption, say_more
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import Count, When
from m10actors.postgres import dead_letters
from m10actors.postgres.dead_letters import Letter, LetterAccount, LetterFilter, LetterGroup, State
from m10actors.replay.advice import advice

app = typer.Typer(no_args_is_help=True, help="Dead letters: what was given up and why, replay it, purge it.")
app.command("replay")(dlq_replay.replay)
app.command("replays")(dlq_replay.replays)
app.command("purge")(dlq_purge.purge)

_NAME = re.compile(r"[\x21-\x7e]{1,200}")

NameArgument = Annotated[str, typer.Argument(metavar="ID", help="Its number in the list, or its dl_msg_id.")]


@app.command("list")
@with_conditions
def list_letters(
    wanted: LetterFilter,
    state: StateOption = "waiting",
    limit: LimitOption = 50,
    everything: AllOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists dead letters that nobody has replayed yet, newest first."""
    wanted = replace(wanted, state=_state(state))
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = dead_letters.letters(store, wanted, None if everything else limit)
    if as_json:
        output.document([asdict(each) for each in found.rows])
    else:
        output.table(("id", "stage", "when", "candidate", "event", "died", "group", "reason"), map(_row, found.rows))
    say_more(found)


@app.command()
@with_conditions
def stats(
    wanted: LetterFilter,
    state: StateOption = "waiting",
    limit: LimitOption = 50,
    everything: AllOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Counts dead letters by their cause, with a sample of each and what can be done."""
    wanted = replace(wanted, state=_state(state))
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = dead_letters.groups(store, wanted, None if everything else limit)
    if as_json:
        output.document([asdict(each) | {"next": advice(each.stage, each.cause)} for each in found.rows])
    else:
        columns = ("count", "stage", "group", "first", "last", "sample", "what", "reason", "next")
        output.table(columns, map(_group_row, found.rows))
    say_more(found)


@app.command()
def show(
    name: NameArgument,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows a dead letter: what died and why, its attempts, its fields as they came, other deaths, its replays."""
    if not _NAME.fullmatch(name):
        raise WrongUsage("a dead letter is named by its number in the list, or by its dl_msg_id")
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = dead_letters.letter(store, name)
    if found is None:
        raise CommandError(f"there is no dead letter {name}")
    if as_json:
        output.document(asdict(found) | {"next": advice(found.stage, found.cause)})
    else:
        _show(found)


def _state(word: StateWord) -> State | None:
    return None if word == "any" else word


def _row(letter: Letter) -> tuple[object, ...]:
    died, when = letter.original_msg_id, When(letter.dead_lettered_at)
    return letter.id, letter.stage, when, letter.candidate_id, letter.event_id, died, letter.fingerprint, letter.reason


def _group_row(group: LetterGroup) -> tuple[object, ...]:
    first, last = When(group.first_seen), When(group.last_seen)
    next_ = advice(group.stage, group.cause)
    sample, reason = group.sample_id, group.reason or group.cause
    return Count(group.count), group.stage, group.fingerprint, first, last, sample, _about(group), reason, next_


def _about(group: LetterGroup) -> str:
    """What died, in the words of the sample: what it is, to or from where, and the failure's message."""
    to = f"{group.event_type} to {group.destination or 'its own address'}" if group.stage == "delivery" else ""
    who = f"{group.error_code or ''} of {group.source}" if group.source else group.error_code or ""
    message = (group.message or "")[:80]
    return "; ".join(filter(None, (to, who, message)))


def _show(letter: LetterAccount) -> None:
    apart = ("payload", "attempts", "deaths", "replay_log")
    about = {name: value for name, value in asdict(letter).items() if name not in apart}
    output.record(f"dead letter {letter.id}", about | {"next": advice(letter.stage, letter.cause)})
    columns = ("number", "at", "outcome", "status", "ms", "error")
    output.section("attempts", columns, [[each.get(column) for column in columns] for each in letter.attempts])
    replays = [(When(each.at), each.by, each.why, each.dl_msg_id) for each in letter.replay_log]
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
