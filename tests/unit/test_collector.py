"""The garbage collector, each time in a process of its own."""

import subprocess
import sys

import pytest

LOADING = """
import gc
from m10actors import collector
looked = []
gc.callbacks.append(lambda phase, info: looked.append(phase))
with collector.loading():
    kept = [[each] for each in range(100_000)]
print(looked, gc.isenabled(), gc.get_freeze_count() > len(kept))
"""
FAILED = """
import gc
from m10actors import collector
try:
    with collector.loading():
        raise ImportError
except ImportError:
    print(gc.isenabled())
"""
SETTLED = """
import gc
from m10actors import collector
kept = [[each] for each in range(100_000)]
collector.settle()
print(gc.get_freeze_count() > len(kept), gc.get_threshold()[0] == collector.YOUNG)
"""


@pytest.mark.parametrize(
    ("script", "told"),
    [(LOADING, "[] True True"), (FAILED, "True"), (SETTLED, "True True")],
    ids=["loading", "failed", "settled"],
)
def test_what_stays_is_looked_through_by_no_collection(script: str, told: str) -> None:
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == told
