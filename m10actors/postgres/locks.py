"""Locks with an expiry, judged by PostgreSQL's clock, and their epochs (docs/lease.md)."""

import time
from datetime import timedelta

from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Lease, Renewal, Tenure, Terms


def acquire(database: Database, name: str, holder: str, ttl: timedelta) -> int | None:
    """The lock's epoch; None while another holds it. Never waits for another's open transaction."""
    epoch: int | None = database.value("acquire_lease", {"name": name, "holder": holder, "ttl": ttl})
    return epoch


def renew(database: Database, name: str, holder: str, epoch: int, ttl: timedelta) -> Renewal:
    """RENEWED: it is held in this epoch, and now for `ttl` from the server's now. An expired one is LOST. UNKNOWN if
    another's open transaction is in the way.
    """
    held: bool | None = database.value("renew_lease", {"name": name, "holder": holder, "epoch": epoch, "ttl": ttl})
    if held is None:
        return Renewal.UNKNOWN
    return Renewal.RENEWED if held else Renewal.LOST


def release(database: Database, name: str, holder: str, epoch: int) -> bool:
    """Whether it was held in this epoch; the next holder may take it at once."""
    return bool(database.value("release_lease", {"name": name, "holder": holder, "epoch": epoch}))


def begin(database: Database, name: str, holder: str, terms: Terms, *, asker: str) -> Tenure | None:
    """The time with the lock that begins now, trusted from the moment at which it was asked for; None while another
    holds it.
    """
    started = time.monotonic()
    epoch = acquire(database, name, holder, terms.ttl)
    if epoch is None:
        return None
    return Tenure(name, holder, Lease.granted(epoch, started, terms), terms, asker=asker)


def end(database: Database, tenure: Tenure) -> bool:
    """Lets go of the lock, in this epoch only; whether it was still held. It is over for its holder in any case."""
    tenure.end()
    return release(database, tenure.lock, tenure.holder, tenure.epoch)


def bump_epochs(database: Database, by: str | None = None) -> list[tuple[str, int | None, int]]:
    """Raises every epoch above whatever was given before a restore, as m10_ops: (lock, before, now) of each. `by`: who
    acts, where it is not whoever is connected.
    """
    return [(name, before, now) for name, before, now in database.rows("bump_epochs", {"by": by})]
