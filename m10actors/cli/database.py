"""The address of PostgreSQL, for verbs that work on it directly."""

from typing import Literal

from m10actors.cli.errors import WrongUsage
from m10actors.config import Loaded
from m10actors.postgres.pool import reachable

_KEYS = {
    "ops": "database.ops_url (M10_OPS_DATABASE_URL)",
    "migrate": "database.migrate_url (M10_MIGRATE_DATABASE_URL)",
}


def address(loaded: Loaded, role: Literal["ops", "migrate"]) -> str:
    """The URL for `role`; WrongUsage if none is set, StoreError with the reason if it cannot be connected to."""
    secret = loaded.settings.database.address(role)
    if secret is None:
        raise WrongUsage(f"no database is named: set {_KEYS[role]} or database.url (DATABASE_URL), or give its address")
    url = secret.get_secret_value()
    if failure := reachable(url):
        raise failure
    return url
