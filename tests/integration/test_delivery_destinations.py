"""What is said of each destination: over the operations listener, in the metrics, by the command; pausing one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from delivery_kit import deliverer, destination, event
from schema_kit import Lab
from web_kit import Site, all_listeners, call, listening, open_site

from m10actors.cli.listing import operator
from m10actors.delivery import Deliverer, Limits
from m10actors.delivery.breaker import Thresholds
from m10actors.embedded import EmbeddedServers
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.receiver import Answer, Receiver

SQL = "SELECT m10_recovery.publish_outbox('a', %s, 'webhook:x', '{\"data\": 1}')"


@pytest.fixture(scope="module")
def to() -> Iterator[Deliverer]:
    """A destination that takes events, one that fails, one that nobody has called yet."""
    with Receiver() as good, Receiver(answer=lambda _: Answer(500)) as bad:
        limits = Limits(breaker=Thresholds(failures=2, pause=300.0))
        made = [destination(good.url, "good"), destination(bad.url, "bad", limits=limits)]
        with deliverer(*made, destination(good.url, "idle")) as to:
            for number in range(4):
                to.deliver(event(number, to="good"), 1)
                to.deliver(event(number, to="bad"), 1)
            yield to


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers, to: Deliverer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("web")
    with (
        open_site(servers.start(), "web_destinations", destinations=to.conditions) as site,
        listening(site, *all_listeners(site.services, folder)),
    ):
        for number in range(3):
            site.sql(SQL, [str(number)])
        site.sql("UPDATE m10_recovery.outbox SET destination = 'bad', created_at = now() - interval '1 h' WHERE id < 3")
        site.sql("INSERT INTO m10_recovery.paused_destination VALUES ('gone', 'http_410')")
        yield site


def test_each_destination_says_how_it_does_and_what_waits_for_it(site: Site) -> None:
    found = call(site.addresses["ops"], "GET", "/ops/destinations").json["destinations"]
    bad, gone, good, idle = found
    assert (bad["name"], bad["waiting"], bad["oldest_seconds"] > 3599) == ("bad", 2, True)
    assert (bad["seen"]["breaker"], bad["seen"]["closed_because"]) == ("open", "breaker_open")
    assert (bad["seen"]["failed"], bad["seen"]["held_back"], bad["seen"]["failure_ratio"]) == (2, 2, 1.0)
    assert (gone["name"], gone["seen"], gone["paused_because"]) == ("gone", None, "http_410")
    assert (good["seen"]["delivered"], good["seen"]["failure_ratio"], good["waiting"]) == (4, 0.0, 0)
    assert 0 < good["seen"]["p50_seconds"] <= good["seen"]["p99_seconds"]
    assert (idle["seen"]["p50_seconds"], idle["seen"]["concurrency"]) == (None, 10)


def test_the_metrics_have_the_same_by_destination(site: Site) -> None:
    lines = set(call(site.addresses["api"], "GET", "/metrics").raw.decode().splitlines())
    assert {
        'm10_destination_attempts_total{destination="good",outcome="delivered"} 4.0',
        'm10_destination_attempts_total{destination="bad",outcome="failed"} 2.0',
        'm10_destination_held_back_total{destination="bad"} 2.0',
        'm10_destination_breaker{breaker="open",destination="bad"} 1.0',
        'm10_destination_breaker{breaker="closed",destination="bad"} 0.0',
        'm10_destination_concurrency{destination="good"} 10.0',
        'm10_destination_on_way{destination="good"} 0.0',
    } <= lines
    assert not any(line.startswith('m10_destination_seconds{destination="idle"') for line in lines)


def test_the_command_shows_them(site: Site, m10: Command) -> None:  # noqa: F811
    shown = m10("outbox", "destinations", "--url", site.addresses["ops"])
    assert (shown.code, [row[0] for row in shown.rows]) == (0, ["bad", "gone", "good", "idle"])
    assert shown.rows[0][1:3] == ["open", "0 of 10"]
    assert shown.rows[0][5:7] == ["100%", "2"]
    assert "breaker_open for " in shown.rows[0][-1]
    assert shown.rows[1][-1] == "paused http_410"
    assert [each["name"] for each in m10("outbox", "destinations", "--json", "--url", site.addresses["ops"]).json] == [
        "bad",
        "gone",
        "good",
        "idle",
    ]


def test_a_destination_is_paused_and_resumed_by_an_operator(m10: Command, database: MigratedDatabase) -> None:  # noqa: F811
    lab = Lab(database)
    m10.always["M10_OPS_DATABASE_URL"] = database.url("ops")
    event_id = lab.publish("1", destination="crm")
    assert m10("outbox", "destinations", "pause", "crm", "--why", "moves house").out == "crm is paused\n"
    again = m10("outbox", "destinations", "pause", "crm")
    assert (again.code, "crm is paused already" in again.err) == (1, True)
    assert lab.value("SELECT reason FROM m10_recovery.paused_destination") == f"by {operator()}: moves house"
    assert lab.value("SELECT count(*) FROM m10_recovery.claim_open_events('w', 1, 10)") == 0
    assert m10("outbox", "destinations", "resume", "crm").out == "crm is resumed\n"
    assert lab.value("SELECT id FROM m10_recovery.claim_open_events('w', 1, 10)") == event_id
    assert m10("outbox", "destinations", "resume", "crm").code == 1
