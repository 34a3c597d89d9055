"""`m10 doctor`, on a real database."""

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab

from m10actors.testing.database import MigratedDatabase


@pytest.fixture
def doctor(database: MigratedDatabase, m10: Command) -> Command:  # noqa: F811
    m10.always["M10_OPS_DATABASE_URL"] = database.url("ops")
    return m10


def test_it_raises_the_epochs_and_says_so(doctor: Command, database: MigratedDatabase) -> None:
    epoch = Lab(database).lead()
    done = doctor("doctor", "--bump-epochs", "--json")
    assert done.code == 0
    [bumped] = done.json
    assert (bumped["lock"], bumped["before"]) == ("m10:outbox_processor", epoch)
    [[lock, before, after]] = doctor("doctor", "--bump-epochs").rows
    assert (lock, before) == ("m10:outbox_processor", str(bumped["epoch"]))
    assert int(after) > bumped["epoch"]


def test_it_does_nothing_unasked(doctor: Command, database: MigratedDatabase) -> None:
    refused = doctor("doctor")
    assert refused.code == 2
    assert "--bump-epochs" in refused.err
    assert Lab(database).value("SELECT count(*) FROM m10_recovery.lock_epoch") == 0


def test_it_needs_the_operations_role(doctor: Command, database: MigratedDatabase) -> None:
    refused = doctor("doctor", "--bump-epochs", "--database", database.url("app"))
    assert refused.code == 2
    assert "M10_OPS_DATABASE_URL" in refused.err
