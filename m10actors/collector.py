"""The garbage collector of a process that lives long and makes its objects in batches."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 20_000
"""Objects that are made before the youngest are looked through: more than a batch of evaluations makes of those that
stay for its length.
"""


@contextmanager
def loading() -> Iterator[None]:
    """For what is loaded or built for good: nearly all that is made meanwhile stays, and looking through it again and
    again was a sixth of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle() -> None:
    """For when all is started: what is there is left out of every later collection, and a batch causes few. With the
    collector's own thresholds (700, 10, 10) a quarter of the time of an evaluation in Python went into it.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
