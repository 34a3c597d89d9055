"""What becomes of the outbox while its leaders are stopped, killed and drained; each campaign with its account.

`python -m m10actors.testing.leadership stop | kill | handover` prints it as JSON; exit code 0 only if it is sound.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from m10actors.testing.audit import TTL_SECONDS, Result, Scene, scene
from m10actors.testing.campaign import Engine
from m10actors.testing.waiting import eventually

STEPS = (
    "leader.after_acquire", "leader.before_renew", "outbox.after_claim", "outbox.before_send", "outbox.after_connect",
    "outbox.after_send", "outbox.after_response", "outbox.before_complete", "outbox.after_complete",
)  # fmt: skip
"""From claim to completion: where a leader can die."""


def stopped(folder: Path, rounds: int) -> Result:
    """Two processes under load; the leader is stopped past its lease, again and again, and goes on while another
    leads.
    """
    with scene(folder, engines=2) as here:
        here.stage.start()
        with here.load():
            for _ in range(rounds):
                leader = eventually(here.leader, within=20)
                pid = int(leader.split(":")[-2])
                os.kill(pid, signal.SIGSTOP)
                try:
                    eventually(lambda: here.leader() not in {"", leader}, within=20)  # noqa: B023
                finally:
                    os.kill(pid, signal.SIGCONT)
        here.settles()
        return here.account(rounds)


def killed(folder: Path, steps: Sequence[str], events: int, seed: int) -> Result:
    """One process, killed under load at each step of a delivery at some hit of it, and started again on the same run
    folder; `events` wait for it each time.
    """
    chance = random.Random(seed)
    with scene(folder, engines=1) as here:
        [engine] = here.stage.engines
        for step in steps:
            here.publish(events)
            nth = chance.randint(1, 2 if step.startswith("leader.") else 10)
            with here.load():  # outcomes are written in sets: however large those are, the nth comes
                ended = _launched(engine, f"{step}:kill:{nth}").wait(60)
            assert ended == -signal.SIGKILL, f"{step}: {ended}\n{engine.log_tail()}"
            engine.start()
            here.settles()
            engine.stop()
        return here.account(len(steps))


def handover(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds without a leader after a drain of it, and without a delivery after kill -9 of it, on another host; the
    longest of each.
    """
    drained, died = [], []
    with scene(folder, engines=2) as here:
        here.stage.start()
        for _ in range(rounds):
            engine = _leading(here)
            terminated = engine.process
            assert terminated is not None
            terminated.terminate()
            drained.append(_vacancy(here))
            engine.stop()
            engine.start()
            engine = _leading(here)
            engine.kill()
            killed_at = time.monotonic()
            before = here.stage.receiver.ledger.total
            here.publish(1)
            eventually(lambda: here.stage.receiver.ledger.total > before, within=20, every=0.002)  # noqa: B023
            died.append(time.monotonic() - killed_at)
            engine.start()
    return {"drain_seconds": round(max(drained), 3), "kill_seconds": round(max(died), 3), "ttl_seconds": TTL_SECONDS}


def _leading(here: Scene) -> Engine:
    leader = eventually(here.leader, within=20)
    pids = {engine.process.pid: engine for engine in here.stage.engines if engine.process is not None}
    return pids[int(leader.split(":")[-2])]


def _vacancy(here: Scene) -> float:
    """From the last look at which the present leader led until the first at which another does."""
    leader = last = here.leader()
    seen = time.monotonic()
    while last in {"", leader}:
        last = here.leader()
        if last == leader:
            seen = time.monotonic()
    return time.monotonic() - seen


def _launched(engine: Engine, failpoints: str) -> "subprocess.Popen[bytes]":
    environ = os.environ | {"M10_TESTING": "1", "M10_FAILPOINTS": failpoints}
    with engine.log.open("ab") as out:
        command = [sys.executable, "-m", "m10actors", "run", "-c", str(engine.config)]
        return subprocess.Popen(command, stdout=out, stderr=out, env=environ)


def main() -> None:
    """Runs one campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", choices=("stop", "kill", "handover"))
    parser.add_argument(
        "--rounds", type=int, default=50, help="stops of the leader (stop), drains and kills (handover)"
    )
    parser.add_argument("--events", type=int, default=200, help="events at each step (kill)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        if given.campaign == "handover":
            print(json.dumps(handover(Path(folder), given.rounds)))  # noqa: T201
            return
        result = (
            stopped(Path(folder), given.rounds)
            if given.campaign == "stop"
            else killed(Path(folder), STEPS, given.events, given.seed)
        )
    print(json.dumps(asdict(result) | {"sound": result.sound}))  # noqa: T201
    sys.exit(0 if result.sound else 1)


if __name__ == "__main__":
    main()
