"""What other programs write straight into PostgreSQL is refused with an SQLSTATE, or done, or a dead letter with a
reason; what is around it is done. By the rows of docs/bad-inputs.md.
"""

from collections.abc import Callable
from typing import Any

import pipeline_kit
import psycopg
import pytest
from pipeline_kit import World, running
from schema_kit import Lab

from m10actors.postgres import candidates, dead_letters, depths, events, figures
from m10actors.postgres.candidates import CandidateFilter
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.events import EventFilter
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SWEEPING: dict[str, Any] = {
    "intake__poll_interval": "20ms",
    "intake__sweep_after": "20ms",
    "intake__evaluation_lease": "1s",
    "decisions__evaluator_timeout": "500ms",
}
MOST = 2**63 - 1
DEEP = "repeat('[', 7000) || repeat(']', 7000)"


def upsert(explain: str = "'{}'", code: str = "'TIMEOUT'", **others: str) -> str:
    """A report by another program; each value is an SQL expression."""
    given = {
        "match_id": "gen_random_uuid()",
        "suggestion": "''",
        "confidence": "0.5",
        "signature": "'s'",
        "source": "'other'",
    }
    given |= others
    return (
        f"SELECT id FROM public.upsert_recovery_candidate(({given['match_id']})::uuid, {given['suggestion']},"
        f" ({given['confidence']})::real, ({explain})::jsonb, {code}, {given['signature']}, {given['source']}, 'other')"
    )


def insert(**columns: str) -> str:
    """A raw row of another program; each value is an SQL expression."""
    columns = {"failure_match_id": "gen_random_uuid()", "suggestion": "''", "error_code": "'TIMEOUT'"} | columns
    return (
        f"INSERT INTO public.recovery_candidates ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"
        " ON CONFLICT (failure_match_id, error_signature) DO UPDATE"
        " SET occurrence_count = recovery_candidates.occurrence_count + 1 RETURNING id"
    )


def publish(payload: str, kind: str = "'webhook:x'", aggregate: str = "gen_random_uuid()::text") -> str:
    """An event of another program; each value is an SQL expression."""
    return f"SELECT m10_recovery.publish_outbox('thing', {aggregate}, {kind}, ({payload})::jsonb)"


REFUSED = {
    "row-1-nul": (upsert(source="'a' || chr(0)"), "54000"),
    "row-2-nul-escape": (upsert("""'{"a": "\\u0000"}'"""), "22P05"),
    "row-4-lone-surrogate": (upsert("""'"\\ud800"'"""), "22P02"),
    "row-5-nan": (upsert("'NaN'"), "22P02"),
    "row-5-nan-confidence": (upsert(confidence="'NaN'"), "23514"),
    "row-5-infinity-confidence": (upsert(confidence="'Infinity'"), "23514"),
    "row-7-1e200000": (upsert("'1e200000'"), "22003"),
    "row-9-2^63": (insert(occurrence_count="9223372036854775808"), "22003"),
    "row-10-zero": (insert(occurrence_count="0"), "23514"),
    "row-12-depth-100000": (upsert("repeat('[', 100000)"), "54001"),
    "row-15-signature-9000-bytes": (upsert(signature="repeat('s', 9000)"), "23514"),
    "row-17-bad-uuid": (upsert(match_id="'no'"), "22P02"),
    "row-17-no-date": (insert(last_occurrence_at="'2026-02-30'"), "22008"),
    "row-18-due-at-infinity": (insert(due_at="'infinity'"), "23514"),
    "row-21-invalid-utf8": (upsert(source="convert_from('\\xff', 'UTF8')"), "22021"),
    "row-22-no-json": (upsert("''"), "22P02"),
    "row-23-no-match-id": (upsert(match_id="NULL"), "23502"),
    "row-24-text-for-number": (insert(occurrence_count="'five'"), "22P02"),
    "row-24-unknown-decision": (insert(decision="'maybe'"), "23514"),
    "row-27-same-key-twice": (
        "INSERT INTO public.recovery_candidates (failure_match_id, suggestion)"
        " SELECT '00000000-0000-0000-0000-000000000001', '' FROM generate_series(1, 2)"
        " ON CONFLICT (failure_match_id, error_signature) DO UPDATE SET occurrence_count = 2",
        "21000",
    ),
    "row-32-ttl-5": ("SELECT m10_recovery.acquire_lock('l', 'me', -5)", "22023"),
    "row-32-ttl-0": ("SELECT m10_recovery.acquire_lock('l', 'me', 0)", "22023"),
    "row-34-no-candidate": ("SELECT m10_recovery.enqueue_work(NULL)", "23502"),
    "row-38-no-event-type": ("SELECT m10_recovery.publish_outbox('a', '1', NULL, '{}')", "23502"),
}

# Stored as it came, and evaluated all the same.
STORED = {
    "row-3-text-that-is-no-json": upsert(suggestion='\'{"a": "\\u0000"}\''),
    "row-6-1e400": upsert("'1e400'"),
    "row-8-5000-digits": upsert("repeat('9', 5000)"),
    "row-9-2^63-1": insert(occurrence_count="9223372036854775807"),
    "row-10-before-the-end": insert(
        failure_match_id="'00000000-0000-0000-0000-000000000010'", occurrence_count="9223372036854775807"
    ),
    "row-11-depth-7000": upsert(DEEP),
    "row-11-depth-7000-everywhere": insert(
        explain=f"({DEEP})::jsonb", rules_evaluated=f"({DEEP})::jsonb", execution_result=f"({DEEP})::jsonb"
    ),
    "row-13-duplicate-keys": upsert("""'{"a": 1, "a": 2}'"""),
    "row-15-code-9000-bytes": upsert(code="(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n)"),
    "row-16-case": upsert(signature="'S '"),
    "row-18-infinity": insert(
        **dict.fromkeys(
            ("last_occurrence_at", "created_at", "updated_at", "last_executed_at", "executed_at", "approved_at"),
            "'infinity'",
        )
    ),
    "row-18-minus-infinity": insert(
        **dict.fromkeys(("last_occurrence_at", "created_at", "last_executed_at"), "'-infinity'")
    ),
    "row-18-year-290000": insert(
        last_occurrence_at="'290000-01-01'", last_executed_at="'290000-01-01'", due_at="'2000-01-01Z'"
    ),
    "row-19-naive": insert(last_occurrence_at="'2026-01-01 00:00:00'"),
    "row-20-future": insert(last_occurrence_at="'2090-01-01Z'", last_executed_at="'2090-01-01Z'"),
    "row-23-all-blank": upsert(code="''", signature="''", source="''"),
    "row-23-all-null": upsert(code="NULL", signature="NULL", source="NULL"),
    "row-26-keys": upsert(
        "(SELECT jsonb_object_agg(repeat('k', n % 3 * 1000) || n, 0) FROM generate_series(1, 10000) n)"
    ),
    "row-26-proto": upsert("""'{"__proto__": {}, "a.b": 1}'"""),
    "row-29-escapes": upsert(source="E'a\\n2026-01-01 CRITICAL \\x1b[31m %s {}'", code="E'TIMEOUT\\n\\r\\x1b[2J'"),
    "row-30-templates": upsert(source="'''; DROP TABLE x; -- ${jndi:ldap://x} {{7*7}}'"),
    "row-31-percent": upsert(source="'100% %(x)s'"),
    "row-10-generation-at-its-end": insert(generation="2147483647", occurrence_count="100"),
    "row-24-generation-below-zero": insert(generation="-5", evaluated_generation="-9"),
    "row-24-id-below-zero": insert(id="-7"),
    "row-14-three-megabytes": insert(error_message="repeat('x', 3000000)", source="repeat('y', 1000000)"),
}


EVENTS = {
    "row-8-5000-digits": (publish("""'{"data": ' || repeat('9', 5000) || '}'"""), "destination_not_allowed"),
    "row-11-depth-7000": (publish(f"""'{{"data": ' || {DEEP} || '}}'"""), "invalid_payload"),
    "row-22-null": (publish("'null'"), "invalid_payload"),
    "row-22-array": (publish("'[]'"), "invalid_payload"),
    "row-22-number": (publish("'7'", "'http:x'"), "invalid_payload"),
    "row-22-text": (publish("""'"x"'""", "'notify:x'"), "invalid_payload"),
    "row-24-number-for-url": (publish("""'{"webhook_url": 7, "data": 1}'"""), "destination_not_allowed"),
    "row-29-type-with-line-break": (publish("'{}'", "E'a\\n\\x1b[31m'"), "unknown_event_type"),
    "row-38-unknown-type": (publish("'{}'", "'telegram:x'"), "unknown_event_type"),
    "row-38-loopback": (publish("""'{"webhook_url": "http://127.1:1/", "data": 1}'"""), "destination_not_allowed"),
    "row-38-decimal-loopback": (publish("""'{"url": "http://2130706433/"}'""", "'http:x'"), "destination_not_allowed"),
    "row-38-userinfo": (publish("""'{"url": "https://u:p@h/"}'""", "'http:x'"), "destination_not_allowed"),
    "row-39-crlf": (
        publish("""'{"url": "https://h/", "headers": {"A": "a\\r\\nX: b"}}'""", "'http:x'"),
        "invalid_payload",
    ),
}


def test_what_cannot_be_stored_is_refused_with_its_sqlstate(database: MigratedDatabase) -> None:
    app = database.connect("app")
    found = {}
    for row, (statement, _) in REFUSED.items():
        with pytest.raises(psycopg.Error) as error:
            app.execute(statement)
        found[row] = error.value.sqlstate
    assert found == {row: state for row, (_, state) in REFUSED.items()}
    assert app.execute("SELECT count(*) FROM public.recovery_candidates").fetchone() == (0,)


def test_whatever_is_stored_is_evaluated_and_can_be_looked_at(world: World) -> None:
    app, metrics = world.database.pool("app"), world.database.pool("metrics")
    ids = {row: world.sql(statement)[0][0] for row, statement in STORED.items()}
    assert len(set(ids.values())) == len(STORED)
    plant_provenance_that_python_cannot_read(world, ids["row-19-naive"])
    with running(world, **SWEEPING) as engine:
        not_evaluated = (
            "SELECT id, evaluation_error FROM public.recovery_candidates"
            " WHERE generation > evaluated_generation OR evaluation_error IS NOT NULL"
        )
        eventually(lambda: world.sql(not_evaluated) == [], within=20)
        assert world.settled(len(STORED)).dead == 0
        assert set(engine.restarts().values()) == {0}
    for row, candidate_id in ids.items():
        assert candidates.one(app, candidate_id) is not None, row
    assert len(candidates.page(app, CandidateFilter(), 500).items) == len(STORED)
    assert figures.stats(app).candidates == len(STORED)
    assert depths.depths(metrics).evaluations_due == 0


def plant_provenance_that_python_cannot_read(world: World, candidate_id: int) -> None:
    for details, moment in ((DEEP, "infinity"), ("repeat('9', 5000)", "-infinity")):
        world.sql(
            "INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, created_at)"
            f" VALUES (%s, 'note', ({details})::jsonb, %s)",
            candidate_id,
            moment,
        )


def test_a_count_at_its_end_stays_there_and_refuses_nobody(world: World) -> None:
    """Row 10: an overflow would refuse every further report of that failure."""
    report = upsert(match_id="'00000000-0000-0000-0000-000000000010'").replace("id", "occurrence_count", 1)
    world.sql(report)
    world.sql("UPDATE public.recovery_candidates SET occurrence_count = %s", MOST - 1)
    assert [world.sql(report)[0][0] for _ in range(3)] == [MOST, MOST, MOST]
    world.sql(insert(occurrence_count=str(MOST)))
    assert world.stores().occurrences == MOST


def test_an_event_that_goes_nowhere_is_a_dead_letter_with_its_reason_and_the_others_are_delivered(world: World) -> None:
    good = "UPDATE m10_recovery.outbox SET destination = 'receiver' WHERE id = %s"
    ids = {}
    for row, (statement, _) in EVENTS.items():
        ids[row] = world.sql(statement)[0][0]
        world.sql(good, world.sql(publish("""'{"data": 1}'"""))[0][0])
    world.sql(f"SELECT m10_recovery.archive_dead_letter('x', 'outbox:1', NULL, NULL, ({DEEP})::jsonb, E'a\\nb')")
    world.sql("UPDATE m10_recovery.dead_letter_archive SET archived_at = 'infinity'")
    with running(world) as engine:
        ended = "SELECT count(*) FROM m10_recovery.outbox WHERE processed_at IS NULL AND dead_at IS NULL"
        eventually(lambda: world.sql(ended) == [(0,)], within=20)
        assert set(engine.restarts().values()) == {0}
    letters = dict(
        world.sql("SELECT event_id, reason FROM m10_recovery.dead_letter_archive WHERE event_id IS NOT NULL")
    )
    assert {row: letters[ids[row]] for row in EVENTS} == {row: reason for row, (_, reason) in EVENTS.items()}
    assert len(world.receiver.ledger.keys()) == len(EVENTS)
    all_can_be_looked_at(world, list(ids.values()))


def all_can_be_looked_at(world: World, event_ids: list[int]) -> None:
    ops = world.database.pool("ops")
    lists: list[Callable[[], Any]] = [
        lambda: dead_letters.letters(ops, LetterFilter(), None).rows,
        lambda: dead_letters.groups(ops, LetterFilter(), None).rows,
        lambda: events.events(ops, EventFilter(), None).rows,
    ]
    for of in lists:
        assert of()
    for event_id in event_ids:
        assert events.event(ops, event_id) is not None
    assert dead_letters.letter(ops, "x") is not None


@pytest.mark.parametrize("outcome", ["failed", "unreachable"])
@pytest.mark.parametrize("count", [2000, 2**31 - 1, -(2**31)])
def test_an_absurd_count_of_attempts_keeps_no_outcome_from_being_written(
    database: MigratedDatabase, outcome: str, count: int
) -> None:
    """Row 33: refused, the outcome would be lost and the event sent again for ever."""
    lab = Lab(database)
    lab.publish()
    lab.sql.execute("UPDATE m10_recovery.outbox SET retry_count = %s, unreachable_count = %s", [count, count])
    [settled] = lab.deliver(outcome, error="no")
    assert settled.state == ("dead" if outcome == "failed" and count > 0 else "retry")


def test_work_for_nobody_is_done_with_and_work_for_somebody_is_done(world: World) -> None:
    """Row 34: the fallback queue, as other programs fill it."""
    [candidate] = world.upsert()
    for named in ("0", "-1", "424242", str(MOST), str(candidate)):
        world.sql(f"SELECT m10_recovery.enqueue_work({named}, NULL, 2147483647, E'a\\nb')")
    world.sql("UPDATE m10_recovery.work_queue SET retry_count = 2147483647, queued_at = '-infinity'")
    with running(world, intake__poll_interval="20ms") as engine:
        left = "SELECT count(*) FROM m10_recovery.work_queue WHERE processed_at IS NULL"
        eventually(lambda: world.sql(left) == [(0,)])
        assert world.settled(1).dead == 0
        assert set(engine.restarts().values()) == {0}


UNREADABLE = """
ALTER FUNCTION m10_recovery.evaluation_inputs RENAME TO inputs_that_can_be_read;
CREATE FUNCTION m10_recovery.evaluation_inputs(p_ids bigint[]) RETURNS SETOF m10_recovery.evaluation_input
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT FROM public.recovery_candidates c WHERE c.id = ANY (p_ids) AND c.error_code = 'UNREADABLE') THEN
        RAISE EXCEPTION 'timestamp out of range' USING ERRCODE = '22008';
    END IF;
    RETURN QUERY SELECT * FROM m10_recovery.inputs_that_can_be_read(p_ids);
END $$;
GRANT EXECUTE ON FUNCTION m10_recovery.evaluation_inputs(bigint[]) TO m10_app;
"""


@pytest.mark.parametrize("way", ["stream", "sweep"])
def test_a_row_that_cannot_be_read_is_a_dead_letter_and_its_batch_is_evaluated(world: World, way: str) -> None:
    """T113: a claim that commits and a fetch that fails, for ever."""
    world.sql(UNREADABLE)
    [unreadable] = world.upsert(code="UNREADABLE")
    others = world.upsert(10)
    with running(world, **(SWEEPING if way == "sweep" else {})) as engine:
        if way == "stream":
            engine.add(*((candidate, 1) for candidate in (unreadable, *others)))
        eventually(world.dead_letters, within=20)
        assert [letter[:2] for letter in world.dead_letters()] == [("store_refused: 22008", unreadable)]
        assert world.settled(11).dead == 1
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}
