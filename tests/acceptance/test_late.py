"""Parts of the engine while statements, commands and messages are late: a short, seeded slice of `make late`."""

import subprocess
import sys

SLICE = "tests/integration/test_pipeline_sweep.py"


def test_the_sweep_relies_on_nobody_to_come_first() -> None:
    late = ("-p", "m10actors.testing.late", "--late-seed", "1")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *late, SLICE], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
