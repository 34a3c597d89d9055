"""A program raises and captures while its server is away; then the account of what arrived.

`python -m m10actors.testing.outage --count 10000 --down 30` prints it as JSON; exit code 0 only if all arrived once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from m10actors.client import RecoveryClient


@dataclass(frozen=True)
class Account:
    """Failures captured, those that arrived, were counted twice or never came; how long the capturing calls took."""

    captured: int
    arrived: int
    doubled: int
    lost: int
    max_ms: float
    p99_ms: float
    down_seconds: float
    back_after_seconds: float

    @property
    def sound(self) -> bool:
        return self.captured == self.arrived and not self.doubled


class Raiser:
    """A program of its own that raises `count` exceptions within about `seconds`, and captures each."""

    def __init__(self, url: str, token: str, spool: Path, count: int, seconds: float) -> None:
        command = [sys.executable, "-m", "m10actors.testing.outage", "--raise-for", url, "--spool", str(spool)]
        command += ["--count", str(count), "--down", str(seconds)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._output: IO[str] = self.process.stdout
        self._input: IO[str] = self.process.stdin
        self._input.write(f"{token}\n")  # not as an argument, which every user of the machine can read
        self._input.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._input.close()
        self._output.close()

    def said(self) -> dict[str, float]:
        """Its next line: once all is captured, and once more after it was told to end."""
        said: dict[str, float] = json.loads(self._output.readline())
        return said

    def end(self) -> dict[str, float]:
        """Tells it to flush and end."""
        self._input.close()
        return self.said()


def arrived(database_url: str) -> tuple[int, int]:
    """Idempotency keys that the database knows, and the failures that its candidates count."""
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as connection:
        keys = connection.execute("SELECT count(*) FROM m10_recovery.accepted_key").fetchone()
        total = connection.execute("SELECT coalesce(sum(occurrence_count), 0) FROM recovery_candidates").fetchone()
    assert keys is not None
    assert total is not None
    return int(keys[0]), int(total[0])


def run(folder: Path, count: int, down_seconds: float) -> Account:
    """The server is away for `down_seconds`, while all is raised; then it is back."""
    from m10actors.testing.campaign import Stage  # with all the servers, which the program that raises can do without
    from m10actors.testing.proxy import FaultProxy

    with Stage(folder) as stage:
        stage.start()
        with FaultProxy(("127.0.0.1", stage.engines[0].port)) as proxy:
            url = "http://{}:{}".format(*proxy.address)  # type: ignore[misc]
            proxy.refuse()
            began = time.monotonic()
            with Raiser(url, stage.token, folder / "spool", count, down_seconds) as raiser:
                said = raiser.said()
                time.sleep(max(0.0, began + down_seconds - time.monotonic()))
                proxy.clean()
                back = time.monotonic()
                raiser.end()
            keys, counted = arrived(stage.servers.start().postgres_url("postgres", "campaign"))
            return Account(
                captured=int(said["captured"]),
                arrived=keys,
                doubled=counted - keys,
                lost=int(said["captured"]) - keys,
                max_ms=said["max_ms"],
                p99_ms=said["p99_ms"],
                down_seconds=round(back - began, 1),
                back_after_seconds=round(time.monotonic() - back, 1),
            )


def raise_and_capture(url: str, token: str, spool: str, count: int, seconds: float) -> None:
    """What the program does. The time of each call is that of `capture` alone."""
    client = RecoveryClient(url, token, source="outage", spool=spool, exit_wait=60.0)
    took: list[float] = []
    began = time.monotonic()
    for number in range(count):
        try:
            _fail(number, depth=number % 20)
        except ValueError as error:
            before = time.perf_counter()
            client.capture(error, meta={"number": number})
            took.append(time.perf_counter() - before)
        time.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
    took.sort()
    figures = {"max_ms": round(took[-1] * 1000, 2), "p99_ms": round(took[int(len(took) * 0.99)] * 1000, 3)}
    _say(asdict(client.stats) | figures)
    sys.stdin.read()
    client.close()
    _say(asdict(client.stats))


def _fail(number: int, depth: int) -> None:
    if depth:
        _fail(number, depth - 1)
    raise ValueError(f"number {number} is of no use to {'abcdefghijklmnopqrst'[number % 20]}")


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201


def main() -> None:
    """Raises and captures, with the server away; exit code 0 only if all arrived exactly once."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="exceptions")
    parser.add_argument("--down", type=float, default=30.0, help="seconds without a server")
    parser.add_argument("--raise-for", metavar="URL", help="be the program that raises, for this server")
    parser.add_argument("--spool", help="its folder")
    given = parser.parse_args()
    if given.raise_for:
        raise_and_capture(given.raise_for, sys.stdin.readline().strip(), given.spool, given.count, given.down)
        return
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        account = run(Path(folder), given.count, given.down)
    _say(asdict(account) | {"sound": account.sound})
    sys.exit(0 if account.sound else 1)


if __name__ == "__main__":
    main()
