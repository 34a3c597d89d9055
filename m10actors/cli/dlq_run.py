"""How `m10 dlq replay` begins a replay, takes one up again, carries it on and ends it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import typer

from m10actors.application.parts import Parts
from m10actors.cli import output
from m10actors.cli.dlq_progress import Told, say_end
from m10actors.cli.errors import CommandError, ExitCode
from m10actors.cli.listing import operator
from m10actors.cli.process import Life
from m10actors.config import Loaded
from m10actors.hints import Hints
from m10actors.instance import new_worker_id
from m10actors.ops.replay import Pace, ReplayElsewhere, Replayer
from m10actors.postgres import replays as store_of
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database
from m10actors.postgres.replays import Run
from m10actors.streams import StreamProducer


def begun(store: Database, wanted: LetterFilter, cap: int, stop_at: float, why: str) -> Run | None:
    """A new replay; or the one that was begun with the same words and has not ended."""
    if (open_ := store_of.unfinished(store)) is not None:
        if open_.wanted == wanted.as_json():
            return open_
        raise CommandError(
            f"replay {open_.id} has not ended ({open_.note}): m10 dlq replay --resume {open_.id} goes on with it, "
            f"--cancel {open_.id} ends it"
        )
    return store_of.begin(store, wanted, cap, stop_at, operator(), why)


def resumed(store: Database, number: int) -> Run:
    """Open again: one that had stopped begins a new trial, with one and a percent of what is left."""
    run = _unfinished(store, number)
    if (open_ := store_of.unfinished(store)) is not None and open_.id != number:
        raise CommandError(f"replay {open_.id} has not ended: --resume {open_.id} or --cancel {open_.id} first")
    return store_of.note(store, number, operator(), "resumed", "open", "first") if run.state == "stopped" else run


def cancel_run(store: Database, number: int, *, as_json: bool) -> None:
    """Ends a replay where it stands; CommandError if it is over."""
    run = _unfinished(store, number)
    run = store_of.note(store, number, operator(), "cancelled", "cancelled", run.phase)
    if as_json:
        output.document(asdict(run))
    else:
        output.note(f"replay {number} is cancelled; what it had replayed stays so")


def play(loaded: Loaded, store: Database, run: Run, pace: Pace, *, as_json: bool) -> None:
    """Carries a replay on until it ends or is interrupted, and tells of it. Exit codes: 0 all ended well, 1 some did
    not or it stopped, 130 interrupted.
    """
    life, told = Life(), Told(run.id)
    holder = f"{new_worker_id()}/dlq_replay"
    with life.signals(), hints(loaded, store) as sender:
        try:
            player = Replayer(store, sender, run, holder, operator(), pace, told)
            ended = player.play(lambda: life.is_ending, life.wait)
        except ReplayElsewhere:
            raise CommandError(f"another process replays: replay {run.id} waits for it, --resume {run.id}") from None
        except StoreError:
            output.note(f"m10 dlq replay --resume {run.id} goes on where it stands")
            raise
        tally = store_of.tally(store, run.id)
    if as_json:
        output.document(asdict(ended) | {"items": asdict(tally)})
    else:
        say_end(ended, tally)
    if ended.state == "open":
        raise typer.Exit(130)
    if ended.state != "done" or tally.dead or tally.failing:
        raise typer.Exit(ExitCode.FOUND_WRONG)


@contextmanager
def hints(loaded: Loaded, store: Database) -> Iterator[Hints]:
    """To the workers of running instances; without a configured Redis, rows of the fallback queue."""
    parts = Parts.of(loaded.settings, new_worker_id())
    if loaded.is_default("redis.url"):
        parts.redis.observe("not configured", time.monotonic())
    producer = StreamProducer(parts.redis_client, parts.names)
    try:
        yield Hints(producer, store, parts.redis, loaded.settings.redis.stream_max_len)
    finally:
        parts.close()


def _unfinished(store: Database, number: int) -> Run:
    run = store_of.run(store, number)
    if run is None:
        raise CommandError(f"there is no replay {number}")
    if run.state in {"done", "cancelled"}:
        raise CommandError(f"replay {number} is over: {run.note}")
    return run
