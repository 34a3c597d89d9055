"""In whose thread code runs: for what is shared by many actors and blocks for one of them."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m10actors.supervision.link import Link

_here = threading.local()


def enter(link: "Link") -> None:
    """From now on this thread is that incarnation."""
    _here.link = link


def hold(shut: Callable[[], object]) -> AbstractContextManager[None]:
    """`Link.hold` of the actor in whose thread this runs; in any other thread nobody calls `shut`."""
    link: Link | None = getattr(_here, "link", None)
    return nullcontext() if link is None else link.hold(shut)
