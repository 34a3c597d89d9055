"""The account: what was sent, what the databases say became of it, and what the receiver saw. It must balance."""

from dataclasses import dataclass

from m10actors.postgres.pool import Database
from m10actors.testing import ledger
from m10actors.testing.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Stores:
    """What PostgreSQL says. `evaluated_twice` and `published_twice` count generations that took effect more than
    once: 0, or a bug.
    """

    candidates: int
    occurrences: int
    evaluated: int
    published: int
    delivered: int
    dead: int
    keys: int
    evaluated_twice: int
    published_twice: int
    executing: int


def stores(database: Database) -> Stores:
    """Asked as m10_ops."""
    return Stores(*database.rows("account")[0])


def is_evaluated(database: Database) -> bool:
    """Whether no evaluation is due; cheap enough to be asked again and again, as m10_ops."""
    return bool(database.rows("settled")[0][0])


def is_settled(database: Database) -> bool:
    """Whether nothing is left to do: no evaluation due, no event open. As cheap."""
    return all(database.rows("settled")[0])


def is_candidate_evaluated(database: Database, match_id: str) -> bool:
    """Whether the failure of this match id is there and has no evaluation due, as m10_ops."""
    return bool(database.rows("candidate_evaluated", {"match_id": match_id})[0][0])


def deliveries(database: Database, receiver: Ledger) -> ledger.Account:
    """The receiver's ledger against the outbox, asked as m10_ops."""
    return ledger.compare(receiver, [(row[0], row[1], row[2]) for row in database.rows("outbox_keys")])
