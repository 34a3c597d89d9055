"""`m10 audit`: what happened and who did it; and whether what is promised of the data holds."""

import json
import select
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Final

import typer

from m10actors.cli import output
from m10actors.cli.audit_check import TimeoutOption, check
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import WrongUsage
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.listing import AllOption, LimitOption, SinceOption, UntilOption, say_more
from m10actors.cli.options import DataDirOption
from m10actors.cli.output import Gist
from m10actors.postgres import audit as trails
from m10actors.postgres.audit import Entry, Kind, Tail, TrailFilter
from m10actors.postgres.errors import StoreUnavailable

FOLLOW_SECONDS: Final = 1.0
COLUMNS = ("when", "who", "kind", "what", "about", "details")

CandidateOption = Annotated[
    int | None, typer.Option("--candidate", metavar="ID", min=1, max=2**63 - 1, help="Of this candidate alone.")
]
ActorOption = Annotated[
    str | None, typer.Option("--actor", metavar="NAME", help="By whoever has this in their name, in any letter case.")
]
KindOption = Annotated[list[Kind] | None, typer.Option("--kind", help="Of this kind; may be repeated.")]
ArchivedOption = Annotated[
    bool,
    typer.Option("--archived", help="Also what retention has archived; always so with --candidate. Reads all of it."),
]
FollowOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Goes on with what happens from now; with --json an entry a line.")
]
CheckOption = Annotated[
    bool,
    typer.Option("--check", help="Whether what is promised of the data holds, as of one moment; 1 if it does not."),
]


def audit(
    candidate: CandidateOption = None,
    actor: ActorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    kind: KindOption = None,
    archived: ArchivedOption = False,
    limit: LimitOption = 50,
    everything: AllOption = False,
    follow: FollowOption = False,
    checks: CheckOption = False,
    timeout: TimeoutOption = None,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What happened and who did it, in order of time: evaluations, verdicts, executions, replays, purges, pauses,
    tokens, rules, jobs. With --check, whether what is promised of the data holds.
    """
    wanted = TrailFilter(candidate, tuple(kind) if kind else None, actor, since, until, archived)
    loaded = located("ops", database, data_dir, config_file)
    if checks:
        if wanted != TrailFilter() or follow or everything:
            raise WrongUsage("--check looks at everything: it excludes the options of the trail")
        check(loaded, timeout, as_json=as_json)
        return
    if timeout is not None:
        raise WrongUsage("--timeout belongs to --check")
    if follow and (until is not None or everything):
        raise WrongUsage("--follow excludes --until and --all")
    with opened(loaded, "ops") as store:
        if follow:
            with suppress(KeyboardInterrupt):
                _follow(Tail(store, wanted), limit, as_json=as_json)
            return
        found = trails.trail(store, wanted, None if everything else limit)
    if as_json:
        output.document([asdict(entry) for entry in reversed(found.rows)])
    else:
        output.table(COLUMNS, map(_row, reversed(found.rows)))
    say_more(found, "newest")


def _follow(tail: Tail, limit: int, *, as_json: bool) -> None:
    """First what was there, then what comes."""
    for fresh in _looks(tail, limit):
        for entry in fresh:
            if as_json:
                output.line(asdict(entry))
            else:
                output.table((), [_row(entry)])
        sys.stdout.flush()


def _looks(tail: Tail, limit: int) -> Iterator[list[Entry]]:
    """So seldom that PostgreSQL spends a tenth of its time on it. What it was away for is told when it is back."""
    yield tail.begin(limit)
    pause, is_away = FOLLOW_SECONDS, False
    while True:
        select.select([], [], [], pause)
        asked = time.monotonic()
        try:
            fresh = tail.next()
        except StoreUnavailable as error:
            if not is_away:
                output.note(f"{error}; goes on when it is back")
            is_away = True
        else:
            if is_away:
                output.note("PostgreSQL is back")
            is_away = False
            yield fresh
        pause = max(FOLLOW_SECONDS, 10 * (time.monotonic() - asked))


def _row(entry: Entry) -> tuple[object, ...]:
    details = entry.details if isinstance(entry.details, dict) else {"details": entry.details}
    said = ", ".join(f"{name} {_text(value)}" for name, value in details.items() if value not in (None, "", {}, []))
    return entry.at, entry.actor, entry.kind, entry.event, entry.subject, Gist(said)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
