"""The names of our dead letters (dl_msg_id): the same whenever and wherever they are made, so that a repeat writes
nothing twice.
"""

from uuid import NAMESPACE_URL, uuid5

_NAMES = uuid5(NAMESPACE_URL, "m10actors:dead-letter")


def evaluation(candidate_id: int, generation: int | None) -> str:
    """Of a generation that was given up: it dies once."""
    return str(uuid5(_NAMES, f"evaluation:{candidate_id}:{generation}"))


def malformed_entry(incarnation: str, entry_id: str) -> str:
    """Of an entry that cannot be read: it dies once in the life of its stream, since ids repeat after a flush."""
    return str(uuid5(_NAMES, f"entry:{incarnation}:{entry_id}"))
