"""Loading: sources, precedence, errors, secrets."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.cli import local
from m10actors.config import ConfigError, Problem, load
from m10actors.config.addresses import TcpAddress, UnixAddress
from m10actors.config.load import value_at

CANARY = "CANARY-9f3a"


def problems(
    text: str = "", environ: Mapping[str, str] | None = None, *, folder: Path, **flags: object
) -> dict[str, Problem]:
    """The problems by key of a file, an environment and flags; none of them shows the canary."""
    file = folder / "m10.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file, environ or {}, {key.replace("__", "."): value for key, value in flags.items()})
    assert CANARY not in str(raised.value) + repr(raised.value)
    return {problem.key: problem for problem in raised.value.problems}


@given(st.tuples(*[st.none() | st.integers(min_value=1, max_value=400)] * 3))
def test_flags_win_over_the_environment_over_the_file_over_the_defaults(tmp_path_factory, given_by) -> None:
    in_file, in_environment, in_flags = given_by
    file = tmp_path_factory.getbasetemp() / "precedence.toml"
    file.write_text("" if in_file is None else f"[intake]\nbatch_size = {in_file}\n")
    environ = {} if in_environment is None else {"RECOVERY_WORKER_BATCH_SIZE": str(in_environment)}
    loaded = load(file, environ, {"intake.batch_size": in_flags})
    layers = [
        (50, "default"),
        (in_file, f"file {file}"),
        (in_environment, "environment RECOVERY_WORKER_BATCH_SIZE"),
        (in_flags, "flag"),
    ]
    value, origin = [layer for layer in layers if layer[0] is not None][-1]
    assert (loaded.settings.intake.batch_size, loaded.origins["intake.batch_size"]) == (value, origin)
    assert loaded.is_default("intake.batch_size") == (given_by == (None, None, None))


def test_beside_local_servers_a_file_says_where_actions_go_but_not_where_the_servers_are(tmp_path: Path) -> None:
    (tmp_path / "m10.toml").write_text(
        "[redis]\nurl = 'redis://elsewhere'\n[decisions]\nauto_execute = false\n"
        "[actions.notify_ops]\ndestination = 'mine'\nfour_eyes = true\n[destinations.mine]\nurl = 'https://mine.example'\n"
    )
    loaded = load(tmp_path / "m10.toml", {}, local.servers(tmp_path), local.actions("http://127.0.0.1:9"))
    notify, retry = loaded.settings.actions["notify_ops"], loaded.settings.actions["retry_exponential"]
    assert (notify.event, notify.destination, notify.four_eyes) == ("webhook:recovery", "mine", True)
    assert (retry.destination, loaded.origins["actions.retry_exponential.destination"]) == ("receiver", "m10 dev")
    assert loaded.settings.decisions.auto_execute is False
    assert loaded.origins["redis.url"] == "flag"


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("REDIS_URL", "rediss://:pw@cache:6380/1", "redis.url", "rediss://:pw@cache:6380/1"),
        ("DATABASE_URL", "postgresql:///m10?host=/run/pg", "database.url", "postgresql:///m10?host=/run/pg"),
        ("M10_OPS_DATABASE_URL", "postgres://o@h/d", "database.ops_url", "postgres://o@h/d"),
        ("M10_METRICS_DATABASE_URL", "postgres://m@h,i:5433/d", "database.metrics_url", "postgres://m@h,i:5433/d"),
        ("M10_MIGRATE_DATABASE_URL", "postgres://a@[::1]:5432/d", "database.migrate_url", "postgres://a@[::1]:5432/d"),
        ("M10_STREAM_KEY", "a:b", "redis.stream_key", "a:b"),
        ("M10_CONSUMER_GROUP", "a:c", "redis.consumer_group", "a:c"),
        ("M10_DEAD_LETTER_STREAM", "a:d", "redis.dead_letter_stream", "a:d"),
        ("M10_STREAM_MAX_LEN", "5", "redis.stream_max_len", 5),
        ("M10_DEAD_LETTER_MAX_LEN", "6", "redis.dead_letter_max_len", 6),
        ("M10_BLOCK_MS", "1500", "redis.block", timedelta(milliseconds=1500)),
        ("M10_CLAIM_IDLE_MS", "800", "intake.claim_idle", timedelta(milliseconds=800)),
        ("M10_CLAIM_IDLE_MS", "2m", "intake.claim_idle", timedelta(minutes=2)),
        ("M10_MAX_RECLAIM_ATTEMPTS", "4", "intake.max_reclaim_attempts", 4),
        ("M10_MAX_RECLAIM_PER_LOOP", "7", "intake.max_reclaim_per_loop", 7),
        ("M10_RECLAIM_BASE_BACKOFF_MS", "70000", "intake.reclaim_base_backoff", timedelta(seconds=70)),
        ("M10_RECLAIM_MAX_BACKOFF_MS", "70000", "intake.reclaim_max_backoff", timedelta(seconds=70)),
        ("M10_BATCH_MAX", "60", "intake.batch_max", 60),
        ("M10_SWEEP_AFTER", "3", "intake.sweep_after", timedelta(seconds=3)),
        ("RECOVERY_WORKER_BATCH_SIZE", "10", "intake.batch_size", 10),
        ("RECOVERY_WORKER_POLL_INTERVAL", "0.5", "intake.poll_interval", timedelta(milliseconds=500)),
        ("RECOVERY_EVALUATOR_ENABLED", "False", "decisions.evaluator_enabled", False),
        ("RECOVERY_AUTO_EXECUTE", "1", "decisions.auto_execute", True),
        ("RECOVERY_MIN_CONFIDENCE", "0.4", "decisions.min_confidence", 0.4),
        ("RECOVERY_CLAIM_THRESHOLD", "0.5", "decisions.claim_threshold", 0.5),
        ("REOPEN_AFTER", "2h", "decisions.reopen_after", timedelta(hours=2)),
        ("EXECUTION_COOLDOWN", "60", "decisions.execution_cooldown", timedelta(minutes=1)),
        ("OUTBOX_BATCH_SIZE", "21", "outbox.batch_size", 21),
        ("OUTBOX_LOCK_TTL", "15", "outbox.lock_ttl", timedelta(seconds=15)),
        ("OUTBOX_POLL_INTERVAL", "2", "outbox.poll_interval", timedelta(seconds=2)),
        ("OUTBOX_MAX_RETRIES", "2", "outbox.max_retries", 2),
        (
            "OUTBOX_RETRY_SCHEDULE",
            "1, 2,3s,4,1500ms",
            "outbox.retry_schedule",
            tuple(timedelta(seconds=step) for step in (1, 2, 3, 4, 1.5)),
        ),
        ("OUTBOX_MAX_CONCURRENT_HTTP", "3", "outbox.max_concurrent_http", 3),
        ("OUTBOX_HTTP_TIMEOUT", "9", "outbox.http_timeout", timedelta(seconds=9)),
        ("M10_METRICS_INTERVAL", "60", "metrics.interval", timedelta(minutes=1)),
        ("M10_STATS_OUTPUT_DIR", "/tmp/stats", "stats.output_dir", Path("/tmp/stats")),
        ("M10_SYNTHETIC_COUNT", "3", "stats.synthetic_count", 3),
        ("DL_ARCHIVE_RETENTION_DAYS", "9", "retention.dead_letter_archive", timedelta(days=9)),
        ("REPLAY_LOG_RETENTION_DAYS", "9", "retention.replay_log", timedelta(days=9)),
        ("OUTBOX_RETENTION_DAYS", "9", "retention.outbox", timedelta(days=9)),
        ("IDEMPOTENCY_RETENTION_DAYS", "12h", "retention.idempotency", timedelta(hours=12)),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/x", "slack.webhook_url", "https://hooks.slack.com/x"),
        ("R2_UPLOAD_PREFIX", "m10/", "r2.upload_prefix", "m10/"),
        ("R2_MAX_RETRIES", "0", "r2.max_retries", 0),
        ("AGG_LOCAL_FALLBACK", "/tmp/f", "r2.local_fallback", Path("/tmp/f")),
        ("M10_HTTP_LISTEN", "[::1]:0", "http.listen", TcpAddress("::1", 0)),
        (
            "M10_OPS_LISTEN",
            "unix:/tmp/s, 127.0.0.1:1",
            "http.ops_listen",
            (UnixAddress(Path("/tmp/s")), TcpAddress("127.0.0.1", 1)),
        ),
        ("M10_METRICS_LISTEN", "0.0.0.0:9100", "http.metrics_listen", TcpAddress("0.0.0.0", 9100)),
        ("M10_RUN_DIR", "/tmp/run", "process.run_dir", Path("/tmp/run")),
        ("M10_LOG_LEVEL", "debug", "process.log_level", "debug"),
        ("M10_LOG_FORMAT", "json", "process.log_format", "json"),
    ],
)
def test_every_environment_name_reaches_its_key(name: str, text: str, key: str, value: object) -> None:
    loaded = load(None, {name: text}, {})
    found = value_at(loaded.settings, key)
    assert (found.get_secret_value() if hasattr(found, "get_secret_value") else found) == value
    assert loaded.origins[key] == f"environment {name}"


def test_the_names_of_the_object_store_are_read_together() -> None:
    environ = {"R2_ENDPOINT": "https://e", "R2_BUCKET": "b", "R2_ACCESS_KEY_ID": "i", "R2_SECRET_ACCESS_KEY": CANARY}
    r2 = load(None, environ, {}).settings.r2
    assert (r2.endpoint, r2.bucket, r2.secret_access_key.get_secret_value()) == ("https://e", "b", CANARY)
    assert CANARY not in repr(r2)


def test_an_empty_environment_name_counts_as_not_set() -> None:
    assert load(None, {"M10_BATCH_MAX": "", "DATABASE_URL": "  "}, {}).settings.intake.batch_max == 500


def test_without_a_file_none_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "m10.toml").write_text("[intake]\nbatch_size = 7\n")
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}).settings.intake.batch_size == 50


def test_all_problems_are_reported_at_once_with_key_expected_got_and_origin(tmp_path: Path) -> None:
    text = """
        [database]
        pool_size = 1e9
        [intake]
        btach_size = 5
        claim_idle = "10s"
        [decisions]
        evaluator_timeout = "11s"
        evaluator_enabled = 1
        [outbox]
        lock_ttl = "-5s"
        [actions.retry]
        event = "webhook:recovery"
        destination = "nowhere"
    """
    found = problems(text, {"OUTBOX_BATCH_SIZE": "many"}, folder=tmp_path, redis__stream_max_len=True)
    file = f"file {tmp_path / 'm10.toml'}"
    assert found == {
        problem.key: problem
        for problem in [
            Problem("intake.btach_size", "a known key (did you mean intake.batch_size?)", "an unknown key", file),
            Problem("database.pool_size", "a whole number from 1 to 1000", "1000000000.0", file),
            Problem("decisions.evaluator_enabled", "true or false", "1", file),
            Problem("outbox.lock_ttl", "a duration such as 500ms, 30s, 5m, 2h or 7d", "'-5s'", file),
            Problem(
                "outbox.batch_size", "a whole number from 1 to 10000000", "'many'", "environment OUTBOX_BATCH_SIZE"
            ),
            Problem("redis.stream_max_len", "a whole number from 1 to 10000000", "True", "flag"),
            Problem("intake.claim_idle", "more than decisions.evaluator_timeout, which is 11s", "10s", file),
            Problem("actions.retry.destination", "the name of a destination: there are none", "'nowhere'", file),
        ]
    }


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[intak]\nbatch_size = 1", "intak", "intake"),
        ("[tree.intak]\nintensity = 1", "tree.intak", "tree.intake"),
        ('[destinations.a]\nulr = "https://h"', "destinations.a.ulr", "destinations.a.url"),
        ("[tree.outbox_leader]\npoll = 1", "tree.outbox_leader.poll", ""),
    ],
)
def test_an_unknown_key_suggests_the_near_one(text: str, key: str, near: str, tmp_path: Path) -> None:
    expected = problems(text, folder=tmp_path)[key].expected
    assert expected.startswith("a known key")
    assert near in expected


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("M10_BATCH_MAXX", "M10_BATCH_MAX"),
        ("OUTBOX_LOCKTTL", "OUTBOX_LOCK_TTL"),
        ("RECOVERY_AUTOEXECUTE", "RECOVERY_AUTO_EXECUTE"),
    ],
)
def test_a_near_miss_of_an_environment_name_is_a_problem(name: str, near: str, tmp_path: Path) -> None:
    assert near in problems(environ={name: "1"}, folder=tmp_path)[name].expected


def test_names_for_tests_and_names_of_other_programs_are_no_problem() -> None:
    environ = {"M10_FAILPOINTS": "a:kill", "M10_TESTING": "1", "OUTBOX_COLOUR": "red", "PATH": "/bin"}
    assert load(None, environ, {}).notices == ()
    assert "M10_SOMETHING_ELSE" in load(None, {"M10_SOMETHING_ELSE": "1"}, {}).notices[0]


@pytest.mark.parametrize(
    "url",
    [
        f"postgres//u:{CANARY}@h/db",
        f"u:{CANARY}@h/db",
        f"postgresql://u:{CANARY}@h:port/db",
        f"postgresql://u:{CANARY}@@h/db",
        f"postgresql://u:{CANARY}/x@h/db",
        f"postgresql://u:{CANARY}@h:99999/db",
        f"postgresql://u:{CANARY}@[::1/db",
        f"postgresql://u:{CANARY} x@h/db",
        f"mysql://u:{CANARY}@h/db",
        f"host=h password={CANARY}",
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_bad_address_never_shows_its_password(name: str, url: str, tmp_path: Path) -> None:
    (problem,) = problems(
        environ={name: url.replace("postgresql", "redis") if name == "REDIS_URL" else url}, folder=tmp_path
    ).values()
    assert (problem.got, problem.origin) == ("a hidden value", f"environment {name}")


def test_secrets_never_print(tmp_path: Path) -> None:
    file = tmp_path / "m10.toml"
    file.write_text(f"""
        [database]
        url = "postgresql://u:{CANARY}@h/db?sslpassword={CANARY}"
        [destinations.a]
        url = "https://h/hook/{CANARY}?t={CANARY}"
        headers = {{ Authorization = "Bearer {CANARY}" }}
        [slack]
        webhook_url = "https://hooks.slack.com/{CANARY}"
    """)
    settings = load(file, {"R2_MAX_RETRIES": "1"}, {}).settings
    assert CANARY not in repr(settings) + str(settings) + str(settings.database.url) + str(
        settings.destinations["a"].url
    )
    assert str(settings.database.url) == "postgresql://u:***@h/db?sslpassword=***"
    assert settings.destinations["a"].headers["Authorization"].get_secret_value() == f"Bearer {CANARY}"


def test_a_secret_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://u:pw@h/db\n")
    (tmp_path / "keys").write_text("whsec_" + "A" * 32 + "\n" + "B" * 32 + "\n")
    file = tmp_path / "m10.toml"
    file.write_text('[database]\nurl_file = "dsn"\n[destinations.a]\nurl = "https://h"\nsecrets_file = "keys"\n')
    loaded = load(file, {"SLACK_WEBHOOK_URL_FILE": str(_written(tmp_path / "slack", "https://s/x"))}, {})
    assert loaded.settings.database.url.get_secret_value() == "postgresql://u:pw@h/db"
    assert [secret.get_secret_value() for secret in loaded.settings.destinations["a"].secrets] == [
        "whsec_" + "A" * 32,
        "B" * 32,
    ]
    assert loaded.settings.slack.webhook_url.get_secret_value() == "https://s/x"
    assert loaded.origins["database.url"] == f"file {file}, secret file {tmp_path / 'dsn'}"


def test_a_secret_file_that_is_missing_empty_or_beside_the_value_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    text = f"""
        [database]
        url_file = "no-such"
        ops_url_file = "empty"
        metrics_url_file = "empty"
        metrics_url = "postgresql://u:{CANARY}@h/db"
    """
    found = problems(text, {"REDIS_URL": "redis://h", "REDIS_URL_FILE": "x"}, folder=tmp_path)
    assert {key: problem.got for key, problem in found.items()} == {
        "database.url": os.strerror(2),
        "database.ops_url": "an empty file",
        "database.metrics_url": "both",
        "redis.url": "both",
    }


@pytest.mark.parametrize("text", ["[intake", "a = 1\na = 2", "intake = 5", "destinations = 5", "[destinations]\na = 5"])
def test_a_file_of_another_shape_is_a_problem(text: str, tmp_path: Path) -> None:
    assert all(
        problem.origin == f"file {tmp_path / 'm10.toml'}" for problem in problems(text, folder=tmp_path).values()
    )


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "latin1.toml").write_bytes(b"a = '\xe4'")
    for file in (tmp_path / "no-such.toml", tmp_path, tmp_path / "latin1.toml"):
        with pytest.raises(ConfigError, match="file: expected"):
            load(file, {}, {})


def test_a_value_with_line_breaks_stays_on_its_line(tmp_path: Path) -> None:
    found = problems(environ={"M10_LOG_LEVEL": "a\n\x1b[31mb", "M10_\nBATCH_MAX": "1"}, folder=tmp_path)
    assert all(str(problem).isprintable() for problem in found.values())


def test_the_run_folder_comes_from_the_host_where_nobody_sets_it() -> None:
    def run_dir(**environ: str) -> tuple[str, str]:
        loaded = load(None, environ, {})
        return str(loaded.settings.process.run_dir), loaded.origins["process.run_dir"]

    assert run_dir(RUNTIME_DIRECTORY="/run/m10:/run/b") == ("/run/m10", "environment RUNTIME_DIRECTORY")
    assert run_dir(XDG_RUNTIME_DIR="/run/user/1") == ("/run/user/1/m10", "environment XDG_RUNTIME_DIR")
    assert run_dir(M10_RUN_DIR="/a", RUNTIME_DIRECTORY="/b") == ("/a", "environment M10_RUN_DIR")
    assert run_dir() == (str(Path.home() / ".m10" / "run"), "default")


def test_settings_are_frozen(tmp_path: Path) -> None:
    file = tmp_path / "m10.toml"
    file.write_text('[actions.a]\nevent = "notify:x"\ntemplate = { deep = { list = [1] } }\n')
    settings = load(file, {}, {}).settings
    with pytest.raises(ValueError, match="frozen"):
        settings.intake.batch_size = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.actions["b"] = settings.actions["a"]  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.actions["a"].template["deep"]["x"] = 1  # type: ignore[index]
    assert settings.actions["a"].template["deep"]["list"] == (1,)  # type: ignore[index]


def test_each_role_falls_back_to_the_address_of_the_pipeline() -> None:
    database = load(
        None, {"DATABASE_URL": "postgresql://a@h/d", "M10_OPS_DATABASE_URL": "postgresql://o@h/d"}, {}
    ).settings.database
    assert [str(database.address(role)) for role in ("app", "ops", "migrate")] == [
        "postgresql://a@h/d",
        "postgresql://o@h/d",
        "postgresql://a@h/d",
    ]


def test_what_a_verb_requires_and_nobody_set_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"database\.url: expected .*DATABASE_URL"):
        load(None, {}, {}).require("database.url", "redis.url")
    load(None, {}, {}).require("redis.url")


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("redis.strem_key", "redis.stream_key"), ("destinations.billing.ulr", "destinations.billing.url")],
)
def test_a_flag_with_an_unknown_key_suggests_the_near_one_and_never_itself(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, {wrong: "x"})
    assert f"did you mean {right}?" in str(caught.value)
