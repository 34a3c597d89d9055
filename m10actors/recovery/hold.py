"""Who may end a call that blocks: told to stores and deliveries, which do not know who supervises their callers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

Hold: TypeAlias = Callable[[Callable[[], object]], AbstractContextManager[None]]
"""`with hold(shut):` while the block lasts, `shut` may be called, from any thread, to make its calls return."""


def unheld(_shut: Callable[[], object]) -> AbstractContextManager[None]:
    """Nobody ends it but its deadline."""
    return nullcontext()
