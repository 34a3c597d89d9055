"""`m10 demo`: everything once, on real failures, with an account that must balance."""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

import typer

from m10actors import logs
from m10actors.application import Application
from m10actors.cli.config import JsonOption
from m10actors.cli.errors import ExitCode
from m10actors.cli.http_target import HttpTarget
from m10actors.cli.ingest_input import Format, Reading, failures, opened
from m10actors.cli.ingest_options import DEFAULT_LEVELS, FormatOption, LevelsOption, PatternOption
from m10actors.cli.local import Local
from m10actors.cli.process import Life, start
from m10actors.cli.sample import SAMPLE
from m10actors.cli.targets import send
from m10actors.client import results
from m10actors.lines import Line, OneTimeKeys, Rejected, Reported, batches
from m10actors.recovery.failure import parse
from m10actors.testing import account
from m10actors.testing.account import Stores
from m10actors.testing.plant import plant_malformed

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Account:
    """contracts.md, section 7: the names and meanings of the demo's JSON."""

    sent: int
    accepted: int
    duplicates: int
    rejected: int
    candidates: int
    evaluated: int
    published: int
    delivered: int
    received_keys: int
    received_twice: int
    dead: int
    balanced: bool
    seconds: float


InputOption = Annotated[
    Path | None,
    typer.Option(
        "--input", metavar="FILE", exists=True, dir_okay=False, help="Failures to send; the sample by default."
    ),
]
CountOption = Annotated[int | None, typer.Option("--count", min=1, help="Sends so many, made from the input.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1, help="Seconds in which all has to be done.")]


def demo(
    file: InputOption = None,
    format: FormatOption = Format.JSONL,  # noqa: A002
    levels: LevelsOption = DEFAULT_LEVELS,
    pattern: PatternOption = None,
    count: CountOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 300.0,
) -> None:
    """Starts everything embedded, sends real failures, waits until all is evaluated and delivered, prints the
    account.
    """
    logs.setup("error", "auto")
    given = _given(file or SAMPLE, Reading(format, "demo", levels, pattern), count)
    if not any(isinstance(line, Reported) for line in given):
        typer.echo(f"m10: no failure found in {file}", err=True)
        raise typer.Exit(ExitCode.FOUND_WRONG)
    result = _run(given, timeout)
    typer.echo(json.dumps(asdict(result)) if as_json else _told(result))
    raise typer.Exit(ExitCode.DONE if result.balanced else ExitCode.FOUND_WRONG)


def _given(file: Path, reading: Reading, count: int | None) -> list[Line]:
    """What is sent: each failure with a key of its own, unless its line holds one. Empty lines of JSON are passed."""
    with opened(file) as source:
        found = list(failures(source, reading.form(), OneTimeKeys(), file))
    if reading.format is Format.JSONL:
        found = [line for line in found if not (isinstance(line, Rejected) and not line.raw.strip())]
    return found if count is None else list(_made_from(found, count))


def _made_from(lines: Sequence[Line], count: int) -> Iterator[Line]:
    """`count` lines: the same ones again, each time from another source, of which there are 50."""
    for number, line in enumerate(islice(cycle(lines), count)):
        turn = number // len(lines)
        yield _again(line, turn % 50) if turn and isinstance(line, Reported) else line


def _again(line: Reported, turn: int) -> Reported:
    suffix = f"-{turn}" if turn else ""
    item = {**line.item, "source": f"{line.failure.source[:90]}{suffix}", "idempotency_key": str(uuid4())}
    return replace(line, item=item, failure=parse(item))


def _run(given: Sequence[Line], timeout: float) -> Account:
    life = Life()
    with tempfile.TemporaryDirectory(prefix="m10-demo-") as folder, life.signals(), Local(Path(folder)) as local:
        loaded = local.load(None, {"http.listen": "127.0.0.1:0"})
        application = Application(loaded)
        start(application, life)
        try:
            started = time.monotonic()
            planted = plant_malformed(loaded.settings.redis.url.get_secret_value(), loaded.settings.redis.stream_key)
            with closing(HttpTarget(application.api_url, local.token())) as target:
                sent = _send(target, given)
            stores = _settled(application, life, planted, started + timeout)
            seconds = time.monotonic() - started
        finally:
            application.stop()
        if life.is_ending:
            raise typer.Exit(ExitCode.GAVE_UP if application.given_up.is_set() else ExitCode.FOUND_WRONG)
        return _account(sent, stores, local, planted, seconds)


def _send(target: HttpTarget, given: Sequence[Line]) -> Counter[str]:
    """As any client would: in batches over HTTP. What became of the lines."""
    outcomes: Counter[str] = Counter(sent=len(given))
    for batch in batches(given, BATCH):
        reported = [line for line in batch if isinstance(line, Reported)]
        outcomes["rejected"] += len(batch) - len(reported)
        for outcome in send(target, reported, timedelta(seconds=30)) if reported else ():
            match outcome:
                case results.Rejected():
                    outcomes["rejected"] += 1
                case results.Stored(counted=counted):
                    outcomes["accepted" if counted else "duplicates"] += 1
    return outcomes


def _settled(application: Application, life: Life, planted: int, deadline: float) -> Stores:
    """What the stores say once nothing is left to do, or at the deadline."""
    database = application.parts.ops
    while not life.wait(0.02) and time.monotonic() < deadline:
        if account.is_settled(database) and (now := account.stores(database)).dead >= planted:
            return now
    return account.stores(database)


def _account(sent: Counter[str], stores: Stores, local: Local, planted: int, seconds: float) -> Account:
    ledger = local.receiver.ledger
    received = len(ledger.taken())
    balanced = (
        sent["accepted"] + sent["duplicates"] + sent["rejected"] == sent["sent"]
        and stores.occurrences == sent["accepted"]
        and stores.evaluated == stores.candidates
        and stores.delivered == stores.published == received
        and stores.dead == planted
        and not ledger.changed()
    )
    return Account(
        sent=sent["sent"],
        accepted=sent["accepted"],
        duplicates=sent["duplicates"],
        rejected=sent["rejected"],
        candidates=stores.candidates,
        evaluated=stores.evaluated,
        published=stores.published,
        delivered=stores.delivered,
        received_keys=received,
        received_twice=len(ledger.repeated()),
        dead=stores.dead,
        balanced=balanced,
        seconds=round(seconds, 3),
    )


def _told(result: Account) -> str:
    return "\n".join(
        [
            f"sent            {result.sent:>7}   failures, over HTTP",
            f"  accepted      {result.accepted:>7}   counted",
            f"  duplicates    {result.duplicates:>7}   keys seen before: nothing changed",
            f"  rejected      {result.rejected:>7}   malformed: told so, with the reason",
            f"candidates      {result.candidates:>7}   distinct failures that they folded into",
            f"  evaluated     {result.evaluated:>7}",
            f"published       {result.published:>7}   recovery actions, in the outbox",
            f"  delivered     {result.delivered:>7}",
            f"received        {result.received_keys:>7}   distinct idempotency keys at the receiver",
            f"  twice         {result.received_twice:>7}",
            f"dead letters    {result.dead:>7}   malformed entries that were planted in the stream",
            f"{'balanced' if result.balanced else 'DOES NOT BALANCE'} after {result.seconds:.1f} s",
        ]
    )
