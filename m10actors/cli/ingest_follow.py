"""`m10 ingest --follow`: a growing file, until SIGTERM or SIGINT."""

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from m10actors.cli import output
from m10actors.cli.errors import WrongUsage
from m10actors.cli.ingest_input import file_keys
from m10actors.cli.ingest_position import kept_position
from m10actors.cli.process import Life
from m10actors.cli.targets import TryLater
from m10actors.following import Follower
from m10actors.lines import Line, LineFormat

POLL_SECONDS: Final = 0.2


def follow(
    file: Path,
    form: LineFormat,
    run_id: str | None,
    state_dir: Path | None,
    quiet: timedelta,
    deliver: Callable[[Iterable[Line]], None],
    target: str,
    life: Life,
) -> None:
    """Delivers what comes, and keeps the position after each delivery; at the end also what waited for more lines.

    What could not be delivered before the end was asked for is read again at the next start, with the same keys.
    """
    with life.signals(), kept_position(state_dir, file, target, run_id) as kept:
        try:
            follower = Follower(file, form, lambda chain: file_keys(file, run_id, chain), kept.read(), quiet=quiet)
        except OSError as error:
            raise WrongUsage(f"{file} cannot be read: {error.strerror}") from error
        with closing(follower):
            try:
                while not life.is_ending:
                    deliver(follower.step())
                    if not follower.is_behind and follower.is_quiet:
                        deliver(follower.settle())
                    kept.write(follower.position)
                    if not follower.is_behind:
                        life.wait(POLL_SECONDS)
                deliver(follower.settle())
                kept.write(follower.position)
            except TryLater:
                if not life.is_ending:
                    raise
                output.note("what the target has not taken yet is sent by the next --follow of this file")
