"""`m10 outbox`: the events that carry actions out, and sending them again."""

from dataclasses import asdict
from typing import Annotated, assert_never

import typer

from m10actors.cli import destinations, output
from m10actors.cli.config import ConfigOption, JsonOption
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import CommandError, ExitCode, WrongUsage
from m10actors.cli.listing import (
    AllOption,
    IdArgument,
    IdsArgument,
    LimitOption,
    SinceOption,
    note,
    operator,
    say_more,
)
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import Count, When
from m10actors.postgres import events
from m10actors.postgres.events import Event, EventAccount, EventFilter, EventState, Resent

app = typer.Typer(no_args_is_help=True, help="List the events of the outbox, show one, send some again.")
app.add_typer(destinations.app, name="destinations")

PendingOption = Annotated[bool, typer.Option("--pending", help="Open ones, what is due first comes first.")]
DeadOption = Annotated[bool, typer.Option("--dead", help="Dead ones, the last one that died first.")]
DoneOption = Annotated[bool, typer.Option("--done", help="Delivered ones.")]
DestinationOption = Annotated[str | None, typer.Option("--destination", metavar="NAME", help="To this destination.")]
TypeOption = Annotated[
    str | None, typer.Option("--event-type", metavar="TYPE", help="Of this type, such as webhook:recovery.")
]
DeliveredOption = Annotated[
    bool, typer.Option("--delivered", help="Even events that were delivered; their receivers see the same key again.")
]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why; it is kept with the resend.")]


@app.command("list")
def list_events(
    pending: PendingOption = False,
    dead: DeadOption = False,
    done: DoneOption = False,
    destination: DestinationOption = None,
    event_type: TypeOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    everything: AllOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists events, newest first. --since asks when they were written; with --dead, when they died."""
    if pending + dead + done > 1:
        raise WrongUsage("--pending, --dead and --done exclude one another")
    state: EventState | None = "pending" if pending else "dead" if dead else "done" if done else None
    wanted = EventFilter(state, destination, event_type, since)
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = events.events(store, wanted, None if everything else limit)
    if as_json:
        output.document([asdict(each) for each in found.rows])
    else:
        columns = ("id", "state", "event", "destination", "about", "failed tries", "written", "next try", "last error")
        output.table(columns, map(_row, found.rows))
    say_more(found)


@app.command()
def show(
    event_id: IdArgument,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows an event: its key, how its attempts went, its payload, who sent it again."""
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        found = events.event(store, event_id)
    if found is None:
        raise CommandError(f"there is no event {event_id}: retention deletes delivered ones after a time")
    if as_json:
        output.document(asdict(found))
    else:
        _show(found)


@app.command()
def resend(
    event_ids: IdsArgument,
    why: NoteOption = None,
    delivered: DeliveredOption = False,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sends dead events again, under the same Idempotency-Key and with the same bytes, with all their retries.

    An event that is open already is only made due at once. The action of a candidate goes on: failed → executing.
    """
    reason, ids = note(why), list(dict.fromkeys(event_ids))
    with opened(located("ops", database, data_dir, config_file), "ops") as store:
        done = [events.resend(store, event_id, operator(), reason, delivered=delivered) for event_id in ids]
    if as_json:
        output.document([asdict(each) | {"message": _message(each)} for each in done])
    else:
        for each in done:
            (print if _is_fine(each) else output.note)(f"event {each.event_id}: {_message(each)}")
    if not all(map(_is_fine, done)):
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _is_fine(done: Resent) -> bool:
    return done.outcome in {"resent", "already_open"}


def _message(done: Resent) -> str:
    match done.outcome:
        case "resent":
            return "is sent again"
        case "already_open":
            return "is open already, and due now if nobody has it in hand"
        case "delivered":
            return "was delivered: --delivered sends it again all the same"
        case "newer_round":
            return f"is history: candidate {done.candidate_id} has published its next round since"
        case "not_found":
            return "there is no such event"
        case _:
            assert_never(done.outcome)


def _row(event: Event) -> tuple[object, ...]:
    return (
        event.id,
        event.state,
        event.event_type,
        event.destination,
        f"candidate {event.candidate_id}" if event.candidate_id else f"{event.aggregate_type} {event.aggregate_id}",
        Count(event.retry_count + event.unreachable_count),
        When(event.created_at),
        When(event.next_attempt_at),
        event.last_error,
    )


def _show(event: EventAccount) -> None:
    apart = ("payload", "attempts", "deaths", "resends")
    output.record(f"event {event.id}", {name: value for name, value in asdict(event).items() if name not in apart})
    columns = ("number", "at", "outcome", "status", "ms", "error")
    output.section("attempts", columns, [[each.get(column) for column in columns] for each in event.attempts])
    resends = [(When(each.at), each.by, each.why, each.dl_msg_id) for each in event.resends]
    output.section("resends", ("when", "by", "why", "dl_msg_id"), resends)
    deaths = [(each.id, When(each.dead_lettered_at), each.reason, each.dl_msg_id) for each in event.deaths]
    output.section("dead letters", ("id", "when", "reason", "dl_msg_id"), deaths)
    output.pretty("payload", event.payload)
