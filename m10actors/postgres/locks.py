"""Locks with an expiry, judged by PostgreSQL's clock, and their epochs."""

from datetime import timedelta

from m10actors.postgres.pool import Database


def acquire(database: Database, name: str, holder: str, ttl: timedelta) -> int | None:
    """The lock's epoch; None while another holds it. Never waits for another's open transaction."""
    epoch: int | None = database.value("acquire_lease", {"name": name, "holder": holder, "ttl": ttl})
    return epoch


def renew(database: Database, name: str, holder: str, epoch: int, ttl: timedelta) -> bool:
    """Whether it is still held in this epoch, and now for `ttl` from the server's now. An expired one is not
    renewed.
    """
    return bool(database.value("renew_lease", {"name": name, "holder": holder, "epoch": epoch, "ttl": ttl}))


def release(database: Database, name: str, holder: str, epoch: int) -> bool:
    return bool(database.value("release_lease", {"name": name, "holder": holder, "epoch": epoch}))
