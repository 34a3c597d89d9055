"""W8: the second start of `m10 dev`, whose servers and database are there from the first."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.stage import Stage

MOST_SECONDS = 2
ENDED_WITHIN = 60.0


class Embedded:
    """From the start of the process to its line `m10 is ready`; the limit is fixed."""

    figures = (("W8 start-up, embedded, second start", "s"),)

    def __init__(self, stage: Stage, _scale: float) -> None:
        self._data = stage.folder / "dev"

    def ours(self) -> Sequence[float]:
        if not self._data.exists():
            self._start()
        return [self._start()]

    def by_hand(self) -> Sequence[float]:
        return [MOST_SECONDS]

    def _start(self) -> float:
        command = [sys.executable, "-m", "m10actors", "dev", "--empty", "--data-dir", str(self._data)]
        began = time.monotonic()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"M10_HTTP_LISTEN": "127.0.0.1:0"}
        ) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            seconds = time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=ENDED_WITHIN)
        assert said.startswith(b"m10 is ready"), errors.decode()
        return seconds
