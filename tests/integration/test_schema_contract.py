"""The SQL contract: every function and column that other programs rely on, under its name (contracts, section 1)."""

import re
from datetime import timedelta
from pathlib import Path

import psycopg
from schema_kit import refused

import m10actors.postgres
from m10actors.testing.database import MigratedDatabase, Role

BATCH = "p_batch_size integer DEFAULT 10"
TTL = "p_lock_name text, p_holder_id text, p_ttl_seconds integer DEFAULT 600"
FUNCTIONS = {
    "acquire_lock": (TTL, "boolean"),
    "extend_lock": (TTL, "boolean"),
    "release_lock": ("p_lock_name text, p_holder_id text", "boolean"),
    "cleanup_expired_locks": ("", "integer"),
    "enqueue_work": (
        "p_candidate_id bigint, p_idempotency_key uuid DEFAULT NULL::uuid, p_priority integer DEFAULT 0,"
        " p_method text DEFAULT 'db_fallback'::text",
        "bigint",
    ),
    "claim_work": (
        f"p_worker_id text, {BATCH}",
        "TABLE(work_id bigint, candidate_id bigint, idempotency_key uuid, priority integer, retry_count integer)",
    ),
    "complete_work": ("p_work_id bigint, p_success boolean DEFAULT true, p_error text DEFAULT NULL::text", "boolean"),
    "release_stalled_work": ("p_stalled_seconds integer DEFAULT 300", "integer"),
    "publish_outbox": ("p_aggregate_type text, p_aggregate_id text, p_event_type text, p_payload jsonb", "bigint"),
    "claim_outbox_events": (
        f"p_processor_id text, {BATCH}",
        "TABLE(id bigint, aggregate_type text, aggregate_id text, event_type text, payload jsonb, retry_count integer)",
    ),
    "complete_outbox_event": (
        "p_event_id bigint, p_processor_id text, p_success boolean, p_error text DEFAULT NULL::text",
        "void",
    ),
    "record_replay": (
        "p_original_msg_id text, p_dl_msg_id text, p_candidate_id bigint DEFAULT NULL::bigint,"
        " p_idempotency_key uuid DEFAULT NULL::uuid, p_new_msg_id text DEFAULT NULL::text,"
        " p_replayed_by text DEFAULT 'system'::text",
        "TABLE(already_replayed boolean, replay_id bigint)",
    ),
    "archive_dead_letter": (
        "p_dl_msg_id text, p_original_msg_id text, p_candidate_id bigint, p_failure_match_id uuid, p_payload jsonb,"
        " p_reason text DEFAULT NULL::text, p_reclaim_count integer DEFAULT 0,"
        " p_dead_lettered_at timestamp with time zone DEFAULT NULL::timestamp with time zone,"
        " p_archived_by text DEFAULT 'system'::text",
        "bigint",
    ),
    "refresh_mv_tracked": (
        "p_view_name text DEFAULT 'mv_top_pending'::text",
        "TABLE(success boolean, duration_ms integer, error text)",
    ),
    "upsert_recovery_candidate": (
        "p_failure_match_id uuid, p_suggestion text, p_confidence real, p_explain jsonb, p_error_code text,"
        " p_error_signature text, p_source text, p_created_by text",
        "TABLE(id bigint, is_insert boolean, occurrence_count bigint)",
    ),
}

UUID = "'11111111-1111-1111-1111-111111111111'"
CALLS = (
    "m10_recovery.acquire_lock('l', 'me')",
    "m10_recovery.acquire_lock('l', 'me', 60)",
    "m10_recovery.acquire_lock(p_holder_id => 'me', p_lock_name => 'l', p_ttl_seconds => 60)",
    "m10_recovery.extend_lock('l', 'me')",
    "m10_recovery.extend_lock(p_lock_name => 'l', p_holder_id => 'me', p_ttl_seconds => 60)",
    "m10_recovery.release_lock('l', 'me')",
    "m10_recovery.release_lock(p_lock_name => 'l', p_holder_id => 'me')",
    "m10_recovery.cleanup_expired_locks()",
    f"public.upsert_recovery_candidate({UUID}, 'x', 0.5, '{{}}', 'TIMEOUT', 's', 'api', 'me')",
    f"""public.upsert_recovery_candidate(p_created_by => 'me', p_source => 'api', p_error_signature => NULL,
        p_error_code => NULL, p_explain => NULL, p_confidence => NULL, p_suggestion => NULL,
        p_failure_match_id => {UUID})""",
    "m10_recovery.enqueue_work(1)",
    "m10_recovery.enqueue_work(1::int, NULL, 5, 'manual')",
    f"m10_recovery.enqueue_work(p_candidate_id => 2, p_idempotency_key => {UUID}, p_priority => 1, p_method => 'x')",
    "m10_recovery.claim_work('me')",
    "m10_recovery.claim_work(p_worker_id => 'me', p_batch_size => 5)",
    "m10_recovery.complete_work(1)",
    "m10_recovery.complete_work(2, false, 'no')",
    "m10_recovery.complete_work(p_work_id => 1, p_success => true, p_error => NULL)",
    "m10_recovery.release_stalled_work()",
    "m10_recovery.release_stalled_work(p_stalled_seconds => 60)",
    "m10_recovery.publish_outbox('a', '1', 'webhook:x', '{}')",
    """m10_recovery.publish_outbox(p_aggregate_type => 'a', p_aggregate_id => '2', p_event_type => 'webhook:x',
        p_payload => '{}')""",
    "m10_recovery.claim_outbox_events('me')",
    "m10_recovery.claim_outbox_events(p_processor_id => 'me', p_batch_size => 5)",
    "m10_recovery.complete_outbox_event(1, 'me', true)",
    "m10_recovery.complete_outbox_event(p_event_id => 2, p_processor_id => 'me', p_success => false, p_error => 'no')",
    "m10_recovery.record_replay('1-0', 'd')",
    f"m10_recovery.record_replay('2-0', 'd', 1, {UUID}, '3-0', 'ann')",
    "m10_recovery.record_replay(p_original_msg_id => '1-0', p_dl_msg_id => 'd', p_replayed_by => 'ann')",
    f"m10_recovery.archive_dead_letter('d', '1-0', 1, {UUID}, '{{}}')",
    f"m10_recovery.archive_dead_letter('e', '1-0', 1, {UUID}, '{{}}', 'poison', 3, now(), 'ann')",
    """m10_recovery.archive_dead_letter(p_dl_msg_id => NULL, p_original_msg_id => NULL, p_candidate_id => NULL,
        p_failure_match_id => NULL, p_payload => '{}', p_reason => 'poison')""",
    "m10_recovery.refresh_mv_tracked()",
    "m10_recovery.refresh_mv_tracked(p_view_name => 'mv_top_pending')",
)

COLUMNS = {
    "public.recovery_candidates": """
        id failure_match_id suggestion confidence explain decision occurrence_count last_occurrence_at created_by
        created_at updated_at source error_code error_signature approved_by_human approved_at review_note
        selected_action_id rules_evaluated execution_status executed_at execution_result idempotency_key
        generation evaluated_generation evaluated_count due_at closed_at evaluation_error""",
    "m10_recovery.distributed_locks": "lock_name holder_id acquired_at expires_at",
    "m10_recovery.replay_log": """
        message_id processed_at original_msg_id dl_msg_id candidate_id idempotency_key new_msg_id replayed_at
        replayed_by""",
    "m10_recovery.dead_letter_archive": """
        id dl_msg_id original_msg_id candidate_id failure_match_id payload reason reclaim_count dead_lettered_at
        archived_at archived_by""",
    "m10_recovery.outbox": """
        id aggregate_type aggregate_id event_type payload created_at processed_at processed_by retry_count
        last_error process_after claimed_at claimed_by event_uuid dead_at destination""",
    "m10_recovery.work_queue": """
        id candidate_id idempotency_key method priority queued_at claimed_at claimed_by processed_at error_message
        retry_count created_at""",
    "m10_recovery.suggestion_input": "suggestion_id input_type raw_value normalized_value",
    "m10_recovery.suggestion_action": """
        action_code name action_type template applies_to_error_codes success_rate total_applications
        successful_applications is_automated requires_approval priority is_active""",
    "m10_recovery.suggestion_provenance": """
        suggestion_id event_type details rule_id action_id confidence_before confidence_after actor actor_type
        created_at duration_ms""",
    "m10_recovery.retention_jobs": "name last_run rows_archived rows_deleted retention_days",
    "m10_recovery.matview_freshness": "view_name age_seconds last_success",
    "m10_recovery.mv_top_pending": "id",
    "m10_recovery.matview_refresh_log": "view_name success",
    "m10_recovery.suggestion_provenance_archive": "suggestion_id archived_at",
    "m10_recovery.suggestion_input_archive": "suggestion_id archived_at",
}

QUERIES = sorted((Path(m10actors.postgres.__file__).parent / "queries").glob("*.sql"))
SAMPLES: dict[str, object] = dict.fromkeys(("ttl", "lease", "overdue", "stalled", "older_than"), timedelta(seconds=1))
SAMPLES |= dict.fromkeys(("epoch", "limit", "candidate_id", "generation", "archived", "deleted", "days"), 1)
SAMPLES["candidate_ids"] = [1, 2]
ROLES: dict[str, Role] = {"pipeline": "app", "operations": "ops", "metrics": "metrics"}


def test_every_function_has_exactly_the_documented_signature(database: MigratedDatabase) -> None:
    statement = """SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid) FROM pg_proc
                   WHERE proname = ANY (%s)"""
    found = database.connect("superuser").execute(statement, [list(FUNCTIONS)])
    assert sorted(found.fetchall()) == sorted((name, *signature) for name, signature in FUNCTIONS.items())


def test_no_function_of_the_schema_has_overloads(database: MigratedDatabase) -> None:
    found = database.connect("superuser").execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'm10_recovery'::regnamespace GROUP BY 1 HAVING count(*) > 1"
    )
    assert found.fetchall() == []


def test_every_function_takes_positional_named_and_default_arguments(database: MigratedDatabase) -> None:
    app = database.connect("app")
    called = {match[1] for call in CALLS if (match := re.match(r"\w+\.(\w+)", call))}
    assert called == set(FUNCTIONS)
    for call in CALLS:
        assert app.execute(f"SELECT * FROM {call}").rowcount >= 0, call


def test_every_table_has_the_documented_columns(database: MigratedDatabase) -> None:
    found = database.connect("superuser").execute(
        "SELECT t.name, a.attname FROM unnest(%s::text[]) t(name) JOIN pg_attribute a ON a.attrelid = t.name::regclass",
        [list(COLUMNS)],
    )
    documented = {(table, column) for table, columns in COLUMNS.items() for column in columns.split()}
    assert documented - set(found.fetchall()) == set()


def test_every_id_is_bigint(database: MigratedDatabase) -> None:
    ids = ["id", "candidate_id", "suggestion_id", "action_id", "selected_action_id", "event_id", "work_id"]
    found = database.connect("superuser").execute(
        """SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
           WHERE c.relkind IN ('r', 'm', 'v') AND attname = ANY (%s) AND atttypid <> 'bigint'::regtype
             AND (relnamespace = 'm10_recovery'::regnamespace OR relname = 'recovery_candidates')""",
        [ids],
    )
    assert found.fetchall() == []


def test_one_unique_index_decides_the_identity_of_a_candidate(database: MigratedDatabase) -> None:
    found = database.connect("superuser").execute(
        """SELECT indexrelid::regclass::text FROM pg_index
           WHERE indrelid = 'public.recovery_candidates'::regclass AND indisunique
             AND pg_get_indexdef(indexrelid) ~ 'failure_match_id|error_signature'"""
    )
    assert [row[0] for row in found] == ["uq_rc_fmid_sig"]


def test_the_seeds_are_there(database: MigratedDatabase) -> None:
    sql = database.connect("ops")
    jobs = dict(sql.execute("SELECT name, retention_days FROM m10_recovery.retention_jobs").fetchall())
    assert jobs.items() >= {
        "provenance_archive": 90, "candidates_archive": 180, "inputs_archive": 90, "dead_letter_archive": 90,
        "replay_log": 30, "outbox": 7,
    }.items()  # fmt: skip
    actions = sql.execute(
        "SELECT action_code, action_type, is_automated, requires_approval, priority FROM m10_recovery.suggestion_action"
        " ORDER BY priority DESC"
    ).fetchall()
    assert actions == [
        ("retry_exponential", "retry", True, False, 80),
        ("fallback_model", "fallback", True, False, 70),
        ("circuit_breaker", "reconfigure", True, True, 60),
        ("notify_ops", "notify", True, False, 50),
        ("rollback_state", "rollback", False, True, 40),
        ("manual_intervention", "manual", False, True, 30),
        ("skip_task", "skip", True, True, 20),
    ]


def test_every_named_query_can_be_planned_by_its_role_with_its_parameters(database: MigratedDatabase) -> None:
    connections = {role: database.connect(role) for role in ROLES.values()}
    for path in QUERIES:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("-- "), f"{path.name}: each has its sentence"
        role = next((role for mark, role in ROLES.items() if f"({mark} role)" in text), ROLES["pipeline"])
        given = {name: SAMPLES.get(name) for name in re.findall(r"%\((\w+)\)s", text)}
        assert connections[role].execute(f"EXPLAIN {text}".encode(), given).fetchall(), path.name


def test_unusual_arguments_are_refused_and_change_nothing(database: MigratedDatabase) -> None:
    app = database.connect("app")
    upsert = "SELECT public.upsert_recovery_candidate(%s, 'x', %s::real, '{}', 'T', %s, 'api', 'me')"
    assert refused(app, upsert, None, 0.5, "s") == psycopg.errors.NotNullViolation.sqlstate
    assert refused(app, upsert, UUID.strip("'"), 1.5, "s") == psycopg.errors.CheckViolation.sqlstate
    assert refused(app, upsert, UUID.strip("'"), float("nan"), "s") == psycopg.errors.CheckViolation.sqlstate
    assert refused(app, upsert, UUID.strip("'"), 0.5, "s" * 600) == psycopg.errors.CheckViolation.sqlstate
    for call in ("claim_work('me', -1)", "claim_outbox_events('me', -1)"):
        assert refused(app, f"SELECT m10_recovery.{call}") == "2201W"
    assert app.execute("SELECT count(*) FROM public.recovery_candidates").fetchone() == (0,)
