"""What `m10 dlq replay` says: the plan, how it goes, how it ended."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from m10actors.cli import output
from m10actors.cli.output import Count
from m10actors.ops.replay import Progress
from m10actors.postgres.replays import MOST, Planned, Run
from m10actors.replay.advice import REFUSALS
from m10actors.replay.verdict import Tally

SPEAK_SECONDS: Final = 5.0


def plan_document(planned: Sequence[Planned]) -> Mapping[str, object]:
    """The plan as JSON: how many, of which groups, and why others not."""
    refused: Counter[str] = Counter()
    for each in planned:
        if each.refused:
            refused[each.refused] += each.count
    groups = [
        {
            "fingerprint": each.fingerprint,
            "stage": each.stage,
            "cause": each.cause,
            "count": each.count,
            "refused": each.refused,
        }
        for each in planned
    ]
    return {
        "found": sum(each.count for each in planned),
        "replayable": _replayable(planned),
        "refused": refused,
        "groups": groups,
    }


def say_plan(planned: Sequence[Planned]) -> None:
    """The plan as a table, and what to do next."""
    rows = [
        (
            Count(each.count),
            each.stage,
            each.fingerprint,
            each.sample_id,
            each.cause,
            REFUSALS.get(each.refused, each.refused) if each.refused else "replayed",
        )
        for each in planned
    ]
    output.table(("count", "stage", "group", "sample", "reason", "would be"), rows)
    found, count = sum(each.count for each in planned), _replayable(planned)
    if found >= MOST:
        output.note(f"the oldest {MOST:,}; replay again for the others")
    output.note(f"{count:,} of {found:,} would be replayed; nothing was: --yes --why TEXT")


class Told:
    """Tells of progress on standard error: each phase, and every few seconds; weather once."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._said_at = float("-inf")
        self._phase = ""
        self._weather: str | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.weather is not None:
            if self._weather is None:
                output.note(f"replay {self._number} waits: {progress.weather}")
            self._weather = progress.weather
            return
        self._weather = None
        now, changed = time.monotonic(), progress.phase != self._phase
        if changed or now - self._said_at >= SPEAK_SECONDS:
            self._said_at, self._phase = now, progress.phase
            output.note(f"replay {self._number}, {progress.phase}: {account(progress.tally)}")


def account(tally: Tally) -> str:
    """How the items stand, in one line."""
    parts = [f"{tally.replayed:,} of {tally.total:,} replayed", f"{tally.well:,} ended well"]
    parts += [f"{tally.dead:,} died again"] if tally.dead else []
    parts += [f"{tally.failing:,} failing"] if tally.failing else []
    parts += [f"{tally.refused:,} left out"] if tally.refused else []
    return ", ".join(parts)


def say_end(run: Run, tally: Tally) -> None:
    """How it ended, and how it goes on."""
    output.note(f"replay {run.id} {run.note}")
    output.note(f"replay {run.id}: {account(tally)}")
    if run.state in {"open", "stopped"}:
        output.note(f"m10 dlq replay --resume {run.id} goes on where it stands, --cancel {run.id} ends it")


def _replayable(planned: Sequence[Planned]) -> int:
    return sum(each.count for each in planned if each.refused is None)
