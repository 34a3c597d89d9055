"""Failures of programs: Python with real bugs, commands that exit badly, processes that a signal ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from report import Report, provoke

# Small programs with a bug each; n, their argument, differs from run to run.
BUGS = {
    "pricing.py": "prices = {'a': 3}\ntotal = prices['item-' + n]",
    "average.py": "values = []\nprint(sum(values) / len(values))",
    "parse_order.py": "import json\njson.loads('{\"order\": ' + n + ', }')",
    "tree.py": "def depth(node):\n    return 1 + depth(node)\ndepth(n)",
    "read_csv.py": "row = bytes([0xff, 0xfe, int(n)]).decode('utf-8')",
    "window.py": "pages = list(range(3))\nprint(pages[int(n) + 3])",
    "profile.py": "user = None\nprint(user.name)",
    "convert.py": "amount = int(n + ' EUR')",
    "join.py": "print('total: ' + int(n))",
    "config.py": "import tomllib\ntomllib.loads('retries = ' + n + ' times')",
    "plugin.py": "import importlib\nimportlib.import_module('exporter_v' + n)",
    "unpack.py": "name, price = ('x', n, 3)",
    "report.py": "assert int(n) < 0, f'{n} orders without a customer'",
    "schedule.py": "from datetime import date\nprint(date(2026, 2, 28 + int(n)))",
    "events.py": "sizes = {'a': 1, 'b': 2}\nfor key in sizes:\n    sizes[key + n] = 0",
    "batch.py": "rows = iter([])\nprint(next(rows))",
    "settings.py": "import os\nprint(os.environ['EXPORT_TARGET_' + n])",
    "crypto.py": "import base64\nprint(base64.b64decode('abc' + 'd' * (int(n) * 4 - 2)))",
    "geometry.py": "import math\nprint(math.sqrt(-int(n)))",
    "grow.py": "import math\nprint(math.exp(1000 * int(n)))",
    "pipeline.py": (
        "class StageError(Exception): pass\n"
        "try:\n    {}['stage-' + n]\nexcept KeyError as missing:\n"
        "    raise StageError(f'stage {n} of the pipeline is not configured') from missing"
    ),
    "memory.py": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\nblock = bytearray(2**29 + int(n))"
    ),
    "export.py": "import os\nreader, writer = os.pipe()\nos.close(reader)\nos.write(writer, b'x' * int(n))",
}
RUNS = 4

COMMANDS = (
    ("backup", "ls /no/such/archive-{0}"),
    ("deploy", "no-such-tool-{0} --version"),
    ("cron", "echo 'step {0}: lock is held by another run' >&2; exit 75"),
    ("cron", "exit {0}"),
    ("convert", "head -c 3 /proc/self/mem-{0}"),
)

SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGTERM, signal.SIGILL, signal.SIGBUS)


def bugs(folder: Path) -> Iterator[Report]:
    """The tracebacks of BUGS."""
    for name, code in BUGS.items():
        program = folder / name
        program.write_text(f"import sys\nn = sys.argv[1]\n{code}\n")
        for run in range(1, RUNS + 1):
            yield _traceback(program, run)


def exits(folder: Path) -> Iterator[Report]:
    """Commands that exit badly, processes that a signal ends, and one that takes too long."""
    for source, command in COMMANDS:
        for run in range(1, 4):
            yield _exit_code(folder, source, command.format(run))
    for number in SIGNALS:
        for _ in range(2):
            yield _signal(folder, number)
    for run in range(1, 5):
        yield provoke(
            "slow program",
            "converter",
            partial(subprocess.run, ["sleep", str(60 + run)], timeout=0.05, check=True),
            subprocess.TimeoutExpired,
        )


def _traceback(program: Path, run: int) -> Report:
    """The traceback that a Python program leaves on its standard error."""
    command = [sys.executable, "-I", "-S", str(program), str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=program.parent)
    last = done.stderr.strip().splitlines()[-1]
    error_type = last.partition(":")[0].strip().rpartition(".")[2]
    return Report("traceback", program.stem, error_type, done.stderr.strip(), {"exit_code": done.returncode})


def _exit_code(folder: Path, source: str, command: str) -> Report:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=False, cwd=folder)
    raw = done.stderr.strip() or f"`{command}` exited with {done.returncode} and said nothing"
    return Report("exit code", source, f"EXIT_{done.returncode}", raw, {"command": command})


def _signal(folder: Path, number: signal.Signals) -> Report:
    """A process that a signal ends, as its parent sees it."""
    code = f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {int(number)})"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=20, check=False, cwd=folder
    )
    name = signal.Signals(-done.returncode).name
    return Report("signal", "supervisor", name, f"process died of {name} ({signal.strsignal(number)})", {})


def run_json(command: list[str], folder: Path) -> list[dict[str, object]]:
    """The JSON lines that a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=folder)
    return [json.loads(line) for line in done.stdout.splitlines()]
