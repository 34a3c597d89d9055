"""What the fields of INFO say about a server."""

import pytest

from m10actors.redis_address import Form
from m10actors.streams.checkup import judged

FIT = {
    "redis_version": "7.2.4",
    "server_name": "valkey",
    "valkey_version": "9.1.2",
    "server_mode": "standalone",
    "role": "master",
    "maxmemory_policy": "noeviction",
}


def verdicts(form: Form = Form.SERVER, persists: bool | None = True, **changed: str) -> dict[str, bool | None]:
    return {each.check: each.fits for each in judged(FIT | changed, form, persists)}


def test_a_server_that_fits_has_nothing_against_it() -> None:
    assert set(verdicts().values()) == {True}
    assert judged(FIT, Form.SERVER, persists=True)[0].found == "valkey 9.1.2"


@pytest.mark.parametrize(
    ("check", "changed"),
    [
        ("version", {"redis_version": "6.0.16"}),
        ("role", {"role": "slave"}),
        ("mode", {"redis_mode": "cluster"}),
        ("maxmemory-policy", {"maxmemory_policy": "volatile-lru"}),
    ],
)
def test_each_thing_that_does_not_fit_is_found_alone(check: str, changed: dict[str, str]) -> None:
    assert [name for name, fits in verdicts(**changed).items() if fits is False] == [check]


def test_a_cluster_has_to_be_one() -> None:
    assert verdicts(Form.CLUSTER)["mode"] is False
    assert verdicts(Form.CLUSTER, redis_mode="cluster")["mode"] is True


def test_what_was_not_told_is_not_held_against_it() -> None:
    assert {each.fits for each in judged({}, Form.SERVER, persists=None)} == {None}
    assert verdicts(persists=False)["persistence"] is False
