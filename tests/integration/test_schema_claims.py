"""What a claim of outbox events looks through, and what waits meanwhile."""

import random
from collections import defaultdict
from typing import Any

import psycopg
import pytest
from schema_kit import LEADER, MINUTE, Lab, at_once

from m10actors.postgres.outbox import Completion
from m10actors.testing.database import MigratedDatabase

COMPLETE = "SELECT m10_recovery.complete_outbox_event(%s, %s, %s, 'no')"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def claim(lab: Lab, processor: str = "p", limit: int = 10) -> list[Any]:
    return lab.sql.execute("SELECT * FROM m10_recovery.claim_outbox_events(%s, %s)", [processor, limit]).fetchall()


def waits_behind(lab: Lab, event: int) -> int | None:
    return lab.event(event).waits_behind  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "closing",
    [
        "UPDATE m10_recovery.outbox SET processed_at = now() WHERE id = %s",
        "UPDATE m10_recovery.outbox SET dead_at = now() WHERE id = %s",
        "DELETE FROM m10_recovery.outbox WHERE id = %s",
    ],
)
def test_an_event_that_waits_is_called_back_however_the_one_before_it_is_closed(lab: Lab, closing: str) -> None:
    first, second, third = (lab.publish("1") for _ in range(3))
    epoch = lab.lead()
    assert [event.id for event in lab.claim(epoch)] == [first]
    assert [waits_behind(lab, event) for event in (first, second, third)] == [None, first, second]
    lab.database.connect("ops").execute(closing, [first])
    assert [waits_behind(lab, event) for event in (second, third)] == [None, second]
    assert [event.id for event in lab.claim(epoch)] == [second]


def test_an_event_that_is_sent_again_goes_before_the_younger_ones_once_more(lab: Lab) -> None:
    first, second = lab.publish("1"), lab.publish("1")
    lab.deliver("dead", error="no")
    lab.value("SELECT outcome FROM m10_recovery.resend_event(%s, 'op', NULL, false)", first)
    epoch = lab.lead()
    assert [event.id for event in lab.claim(epoch)] == [first]
    assert waits_behind(lab, second) == first


def test_nobody_is_set_behind_an_event_that_is_being_closed(lab: Lab) -> None:
    first, second = lab.publish("1"), lab.publish("1")
    assert [row.id for row in claim(lab, limit=1)] == [first]
    lab.sql.execute("UPDATE m10_recovery.outbox SET waits_behind = NULL")
    app = lab.database.connect("app")
    with app.transaction():
        app.execute(COMPLETE, [first, "p", True])
        assert claim(lab) == []  # it waits, for it cannot be seen yet what becomes of the first
        assert waits_behind(lab, second) is None
    assert [row.id for row in claim(lab)] == [second]


def test_what_was_overlooked_by_a_repeatable_read_is_called_back_in_time(lab: Lab) -> None:
    first, second = lab.publish("1"), lab.publish("1")
    claim(lab, limit=1)
    ops = lab.database.connect("ops")
    ops.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with ops.transaction():
        ops.execute("SELECT 1 FROM m10_recovery.outbox")
        claim(lab)
        ops.execute("UPDATE m10_recovery.outbox SET processed_at = now() WHERE id = %s", [first])
    assert waits_behind(lab, second) == first
    assert lab.database.pool("ops").value("release_waiting") == 1
    assert [row.id for row in claim(lab)] == [second]


def test_many_that_publish_claim_and_complete_at_once_keep_every_order_and_forget_nothing(lab: Lab) -> None:
    taken: dict[str, list[int]] = defaultdict(list)
    publishing = [lambda: [lab.publish(str(n % 3)) for n in range(40)]]

    def work(name: str) -> None:
        connection, chance = lab.database.connect("app"), random.Random(name)
        for _ in range(120):
            statement = "SELECT id, aggregate_id FROM m10_recovery.claim_outbox_events(%s, %s)"
            for event, aggregate in connection.execute(statement, [name, chance.randint(1, 4)]).fetchall():
                taken[aggregate].append(event)
                connection.execute(COMPLETE, [event, name, True])

    at_once([*publishing, lambda: work("p"), lambda: work("q"), lambda: work("r")])
    work("s")
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox WHERE processed_at IS NULL") == 0
    assert all(events == sorted(set(events)) for events in taken.values())


MANY = """
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, destination)
SELECT 'thing', %s || CASE WHEN %s THEN '' ELSE n::text END, 'webhook:x', '{}', %s FROM generate_series(1, %s::int) n
"""
SET_ASIDE = """
INSERT INTO m10_recovery.outbox (id, aggregate_type, aggregate_id, event_type, payload, destination, waits_behind)
SELECT n, 'thing', 'long', 'webhook:x', '{}', 'crm', CASE WHEN n > 1000001 THEN n - 1 END
FROM generate_series(1000001, 1000000 + %s::int) n
"""


def rows_read(lab: Lab, statement: str, *parameters: object) -> tuple[list[int], int]:
    """What a statement gives, and how many rows of the outbox it reads for that."""
    connection = lab.database.connect("superuser")
    with connection.transaction():
        found = [row[0] for row in connection.execute(statement.encode(), parameters).fetchall()]
        [(read,)] = connection.execute(
            "SELECT pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid)"
            " + (SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid)"
            " FROM pg_class c WHERE c.oid = 'm10_recovery.outbox'::regclass"
        ).fetchall()
    return found, int(read)


@pytest.mark.parametrize("count", [2_000, 20_000, 100_000])
def test_a_claim_reads_no_more_rows_whatever_else_waits(lab: Lab, count: int) -> None:
    """So many events of a paused destination, and as many of one aggregate behind its first."""
    lab.sql.execute("INSERT INTO m10_recovery.paused_destination (name, reason) VALUES ('gone', '410')")
    lab.sql.execute(MANY, ["paused", False, "gone", count])
    lab.sql.execute(SET_ASIDE, [count])
    claim_events = "SELECT id FROM m10_recovery.claim_events(%s, %s, 20)"
    assert len(rows_read(lab, claim_events, LEADER, lab.lead())[0]) == 1
    lab.sql.execute(MANY, ["free", False, "crm", 100])
    claimed, read = rows_read(lab, claim_events, LEADER, lab.lead())
    assert len(claimed) == 20
    assert read < 500


@pytest.mark.parametrize("count", [2_000, 100_000])
def test_a_completion_reads_no_more_rows_whatever_else_waits(lab: Lab, count: int) -> None:
    lab.sql.execute(MANY, ["free", False, "crm", count])
    epoch = lab.lead()
    claimed = [event.id for event in lab.claim(epoch, limit=200)]
    complete_events = """SELECT event_id FROM m10_recovery.complete_events(
        %s, %s, %s, array_fill('delivered'::text, ARRAY[200]), NULL, NULL, NULL)"""
    completed, read = rows_read(lab, complete_events, LEADER, epoch, claimed)
    assert sorted(completed) == sorted(claimed)
    assert read < 5_000


def test_of_a_destination_that_takes_nothing_only_what_is_too_old_is_claimed(lab: Lab) -> None:
    old, _young, other = (lab.publish(str(n), destination=name) for n, name in enumerate(["crm", "crm", "ops"]))
    lab.sql.execute("UPDATE m10_recovery.outbox SET process_after = now() - interval '4 days' WHERE id = %s", [old])
    assert {event.id for event in lab.claim(lab.lead(), held=["crm"])} == {old, other}


def test_events_that_are_held_lose_nothing_but_time_and_die_of_age_only_where_they_are_cut_off(lab: Lab) -> None:
    held, cut_off, too_old = (lab.publish(str(n)) for n in range(3))
    aged = "UPDATE m10_recovery.outbox SET created_at = now() - interval '4 days' WHERE id = ANY (%s)"
    lab.sql.execute(aged, [[held, too_old]])
    epoch = lab.lead()
    lab.claim(epoch)
    outcomes = [("held", held), ("cut_off", cut_off), ("cut_off", too_old)]
    settled = lab.complete(epoch, *(Completion(event, outcome, "why", MINUTE) for outcome, event in outcomes))  # type: ignore[arg-type]
    assert [(each.event_id, each.state) for each in sorted(settled, key=lambda each: each.event_id)] == [
        (held, "retry"),
        (cut_off, "retry"),
        (too_old, "dead"),
    ]
    spent = "SELECT retry_count, unreachable_count, attempts, last_error FROM m10_recovery.outbox ORDER BY id"
    assert lab.sql.execute(spent).fetchall() == [(0, 0, [], None), (0, 0, [], None), (0, 0, [], "why")]


def test_a_destination_with_many_events_leaves_the_others_their_share_of_a_claim(lab: Lab) -> None:
    lab.sql.execute(MANY, ["busy", False, "busy", 300])
    late = lab.publish("late", destination="crm")
    assert late in [event.id for event in lab.claim(lab.lead(), limit=10)]


def test_many_that_have_to_wait_are_set_aside_and_hide_nobody(lab: Lab) -> None:
    lab.sql.execute(MANY, ["long", True, "crm", 3_000])
    late = lab.publish("late", destination="crm")
    epoch = lab.lead()
    first, *_ = found = lab.claim(epoch, limit=5)
    while len(found) < 2:
        found += lab.claim(epoch, limit=5)
    assert [event.id for event in found] == [first.id, late]
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox WHERE waits_behind IS NOT NULL") == 2_999
