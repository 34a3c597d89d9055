"""`m10 dlq replay ID --edit`: a stream entry that nobody could read is made readable by hand and sent on."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import click

from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.hints import Hints
from m10actors.postgres import dead_letters, replays
from m10actors.postgres.dead_letters import LetterAccount
from m10actors.postgres.pool import Database
from m10actors.postgres.replays import EntryReplayed
from m10actors.streams import BadEntry, BadReason, Entry, Message
from m10actors.streams.codec import decode

_MEANINGS = {
    BadReason.TOMBSTONE: "it has no fields",
    BadReason.TOO_LARGE: "names and values are longer than 256 kB together",
    BadReason.NOT_UTF8: "it is not valid UTF-8",
    BadReason.MISSING_CANDIDATE_ID: "candidate_id is missing",
    BadReason.BAD_CANDIDATE_ID: "candidate_id: expected a number from 1 on",
    BadReason.BAD_MESSAGE_ID: "message_id: expected <candidate_id>:<generation> of that candidate, or none",
    BadReason.REPEATED_FIELD: "a field stands twice",
}


def replay_entry(store: Database, hints: Hints, number: int, file: Path | None, by: str, why: str) -> EntryReplayed:
    """Edits the entry in $EDITOR, or takes its fields from `file` (`-`: standard input), and sends it on."""
    letter = dead_letters.letter(store, str(number))
    if letter is None:
        raise CommandError(f"there is no dead letter {number}")
    if letter.stage != "entry":
        raise WrongUsage(f"dead letter {number} is of stage {letter.stage}: only entries are edited")
    entry = readable(_edited(letter) if file is None else _given(file))
    done = replays.replay_entry(store, letter.id, entry.candidate_id, entry.generation, by, why)
    _complain(number, entry, done)
    if done.outcome == "replayed" and done.generation is not None:
        now = datetime.now(UTC)
        message = Message(
            entry.candidate_id, done.generation, now, replayed_from_dl=done.dl_msg_id, replayed_at=now,
            metadata=entry.fields.get(b"metadata", b"{}").decode(),
        )  # fmt: skip
        hints.send_messages([message])
    return done


def readable(text: str) -> Entry:
    """The entry of a JSON object of fields; WrongUsage says what is wrong with it."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"this is no JSON: {error}") from None
    if not isinstance(fields, Mapping):
        raise WrongUsage("expected a JSON object of fields")
    flat = []
    for name, value in fields.items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise WrongUsage(f"{name}: expected text")
        flat += [name.encode(errors="surrogatepass"), str(value).encode(errors="surrogatepass")]
    match decode(b"0-1", flat):
        case Entry() as entry:
            return entry
        case BadEntry(reason=reason):
            raise WrongUsage(f"the entry cannot be read: {_MEANINGS[reason]}")
        case never:
            assert_never(never)


def _edited(letter: LetterAccount) -> str:
    fields = letter.payload.get("fields") if isinstance(letter.payload, Mapping) else None
    text = json.dumps(fields if isinstance(fields, Mapping) else {}, indent=2, ensure_ascii=False) + "\n"
    try:
        edited = click.edit(text, extension=".json")
    except click.ClickException as error:
        raise CommandError(f"the editor failed: {error.message}") from error
    if edited is None:
        raise CommandError("nothing was changed, and nothing sent on")
    return edited


def _given(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} cannot be read: {error}") from error


def _complain(number: int, entry: Entry, done: EntryReplayed) -> None:
    candidate = f"candidate {entry.candidate_id}"
    match done.outcome:
        case "replayed" | "nothing_due":
            return
        case "not_found":
            raise CommandError(f"there is no {candidate}")
        case "other_generation":
            raise CommandError(
                f"{candidate} is due with generation {done.generation}, the entry names {entry.generation}:"
                " leave message_id out"
            )
        case "already_replayed":
            raise CommandError(f"dead letter {number} was replayed before")
        case "not_an_entry":
            raise WrongUsage(f"dead letter {number} is not an entry")
        case never:
            assert_never(never)
