"""What must fit together, and what is derived from other settings."""

from datetime import timedelta
from pathlib import Path

import pytest

from m10actors.config import ConfigError, load
from m10actors.config.durations import duration
from m10actors.config.model import Settings
from m10actors.config.tree import ChildKnobs

DESTINATION = '[destinations.a]\nurl = "https://h"\n'
ACTION = '[actions.x]\nevent = "webhook:recovery"\n'


def refused(text: str, folder: Path) -> list[str]:
    file = folder / "m10.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file, {}, {})
    return [problem.key for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[intake]\nbatch_size = 501", "intake.batch_size"),
        ('[intake]\nreclaim_base_backoff = "2d"', "intake.reclaim_base_backoff"),
        ('[intake]\nevaluation_lease = "30s"', "intake.evaluation_lease"),
        (
            '[intake]\nclaim_idle = "1m"\n[decisions]\nevaluator_timeout = "1m"\n[jobs]\nstalled_after = "2m"',
            "intake.claim_idle",
        ),
        ("[intake]\nclaim_workers = 8", "database.pool_size"),
        ('[redis]\nstream_key = "x"\ndead_letter_stream = "x"', "redis.dead_letter_stream"),
        ('[redis]\nurl = "redis+cluster://localhost"', "redis.hash_tag"),
        (f'{DESTINATION}{ACTION}destination = "a"\non_failure = "y"', "actions.x.on_failure"),
        (f'{DESTINATION}{ACTION}destination = "a"\non_failure = "x"', "actions.x.on_failure"),
        ('[outbox]\nlock_ttl = "14s"\nrenew_every = "5s"', "outbox.lock_ttl"),
        ('[outbox]\nretry_schedule = ["1s"]', "outbox.retry_schedule"),
        ('[outbox]\nhttp_timeout = "5m"', "outbox.http_timeout"),
        ('[outbox]\nmax_age = "2h"', "outbox.max_age"),
        ("[ingest]\nmax_body = 9000000", "ingest.max_body"),
        (DESTINATION.replace("https", "http"), "destinations.a.url"),
        (DESTINATION + 'timeout = "6m"', "destinations.a.timeout"),
        (DESTINATION + 'breaker_pause = "2s"\nbreaker_pause_max = "1s"', "destinations.a.breaker_pause"),
        ("[outbox]\nmax_retries = 0\n" + DESTINATION + "batch = 2", "destinations.a.batch"),
        (ACTION, "actions.x.destination"),
        (DESTINATION + ACTION + 'destination = "b"', "actions.x.destination"),
        ('[actions.x]\nevent = "notify:x"\ntemplate = { channel = "slack" }', "actions.x.template"),
        ('[slack]\nwebhook_url = "http://h/x"', "slack.webhook_url"),
        ('[r2]\nbucket = "b"\nendpoint = "https://e"\naccess_key_id = "i"', "r2.secret_access_key"),
        ('[http]\nmetrics_listen = "127.0.0.1:8710"', "http.metrics_listen"),
        ('[http]\nlisten = "0.0.0.0:8710"', "http.allowed_hosts"),
        ('[http]\nops_listen = ["10.0.0.1:8711"]', "http.allowed_hosts"),
        ('[tree.intake]\nbackoff = "6s"', "tree.intake.backoff_max"),
        ("[tree.intake]\nintensity = 20", "tree.intake.backoff_max"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(text: str, key: str, tmp_path: Path) -> None:
    assert key in refused(text, tmp_path)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('headers = { A = "a\\r\\nX: b" }', "headers"),
        ('headers = { "A B" = "x" }', "headers"),
        ('headers = { Idempotency-Key = "x" }', "headers"),
        ('secrets = ["short"]', "secrets"),
        ('secrets = ["whsec_not base64 but long enough for it"]', "secrets"),
        ('allow_networks = ["10.0.0.1/8"]', "allow_networks"),
        ('allow_networks = ["0.0.0.0/0"]', "allow_networks"),
        ('allow_networks = ["fe80::/16"]', "allow_networks"),
        ('on_conflict = "ignore"', "on_conflict"),
        ('timeout = "0s"', "timeout"),
    ],
)
def test_a_destination_that_could_never_be_called_safely_is_refused(line: str, key: str, tmp_path: Path) -> None:
    assert refused(DESTINATION + line, tmp_path) == [f"destinations.a.{key}"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h/#f",
        "https://h:0/",
        "https://h:x/",
        "//h",
        "https://h h/",
        "https://-h",
    ],
)
def test_an_address_of_another_form_is_refused(url: str, tmp_path: Path) -> None:
    assert refused(f'[destinations.a]\nurl = "{url}"', tmp_path) == ["destinations.a.url"]


@pytest.mark.parametrize("name", ["A", "a b", "a.b", "-a", "a" * 64])
def test_a_name_of_another_form_is_refused(name: str, tmp_path: Path) -> None:
    assert refused(f'[destinations."{name}"]\nurl = "https://h"', tmp_path) == ["destinations"]


@pytest.mark.parametrize("listen", ["8710", ":8710", "h:99999", "::1:80", "[::g]:80", "h:80:90", "unix:/x"])
def test_a_listener_of_another_form_is_refused(listen: str, tmp_path: Path) -> None:
    assert refused(f'[http]\nlisten = "{listen}"', tmp_path) == ["http.listen"]


@pytest.mark.parametrize("schedule", ['"0s"', '"5 0 * *"', '"61 0 * * *"', "60", '"sometimes"'])
def test_a_schedule_of_another_form_is_refused(schedule: str, tmp_path: Path) -> None:
    assert refused(f"[jobs]\nretention = {schedule}", tmp_path) == ["jobs.retention"]


def test_template_values_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    for value in ("inf", "1979-05-27"):
        assert refused(f'[actions.x]\nevent = "notify:x"\ntemplate = {{ a = [{value}] }}', tmp_path) == [
            "actions.x.template"
        ]


def test_a_job_may_be_off_or_have_a_cron_expression() -> None:
    jobs = load(None, {}, {"jobs.retention": "off", "jobs.matview_refresh": "30 1 * * 0"}).settings.jobs
    assert (jobs.retention, jobs.matview_refresh) == (None, "30 1 * * 0")


def test_an_older_environment_that_sets_one_of_two_related_names_still_loads() -> None:
    settings = load(None, {"M10_CLAIM_IDLE_MS": "1000", "OUTBOX_LOCK_TTL": "3", "OUTBOX_MAX_RETRIES": "7"}, {}).settings
    assert settings.evaluator_timeout == timedelta(milliseconds=100)
    assert settings.outbox.renewal == timedelta(seconds=1)
    assert settings.outbox.schedule == tuple(map(duration, ("30s", "2m", "8m", "32m", "2h", "2h", "2h")))
    assert load(None, {"OUTBOX_MAX_RETRIES": "1"}, {}).settings.outbox.schedule == (duration("30s"),)


def test_every_child_has_a_period_and_a_time_after_which_it_is_stuck() -> None:
    settings = Settings()
    children = [
        name for name in type(settings.tree).model_fields if isinstance(getattr(settings.tree, name), ChildKnobs)
    ]
    assert len(children) == 16
    for child in children:
        assert settings.stall_after(child) >= max(3 * settings.period(child), settings.database.call_timeout)
    assert load(None, {}, {"tree.claim_worker.stall_after": "7s"}).settings.stall_after("claim_worker") == duration(
        "7s"
    )
    with pytest.raises(KeyError):
        settings.stall_after("intake")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"RECOVERY_CLAIM_THRESHOLD": "0.2"}, "no meaning"),
        ({"DATABASE_URL": "postgresql://u:pw@db/m10"}, "verify-full"),
        ({"DATABASE_URL": "postgresql:///m10?host=db"}, "verify-full"),
        ({"REDIS_URL": "redis://cache"}, "without TLS"),
        ({"REDIS_URL": "redis+sentinel://cache/main"}, "without TLS"),
    ],
)
def test_what_is_allowed_but_worth_a_word_is_a_notice(environ: dict[str, str], words: str) -> None:
    (notice,) = load(None, environ, {}).notices
    assert words in notice
    assert "pw" not in notice


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": "postgresql://u@db/m10?sslmode=verify-full"},
        {"DATABASE_URL": "postgresql://u@%2Frun%2Fpg/m10"},
        {"DATABASE_URL": "postgresql:///m10?host=/run/pg"},
        {"DATABASE_URL": "postgresql://u@localhost,127.0.0.1:5433/m10"},
        {"REDIS_URL": "unix:///run/redis.sock?db=1"},
        {"REDIS_URL": "rediss://cache"},
    ],
)
def test_connections_that_are_local_or_verified_need_no_word(environ: dict[str, str]) -> None:
    assert load(None, environ, {}).notices == ()


def test_operations_beyond_loopback_are_allowed_with_a_host_name_and_a_word() -> None:
    flags = {"http.ops_listen": "0.0.0.0:8711", "http.allowed_hosts": "m10.internal"}
    (notice,) = load(None, {}, flags).notices
    assert "scope ops" in notice


def test_the_actions_that_follow_one_are_those_of_its_chain_in_order(tmp_path: Path) -> None:
    chain = {"a": "b", "b": "c", "c": None}
    text = "".join(
        f'[actions.{name}]\nevent = "notify:x"\n' + (f'on_failure = "{later}"\n' if later else "")
        for name, later in chain.items()
    )
    file = tmp_path / "m10.toml"
    file.write_text(text)
    settings = load(file, {}, {}).settings
    assert [settings.followers(name) for name in chain] == [("b", "c"), ("c",), ()]
    assert refused(text + 'on_failure = "b"\n', tmp_path) == [f"actions.{name}.on_failure" for name in chain]


@pytest.mark.parametrize("seconds", [1, 2, 7, 13])
def test_the_usual_pause_between_renewals_fits_into_every_lock(seconds: int, tmp_path: Path) -> None:
    """A third of 2 s has no end, and rounded up it is too long."""
    file = tmp_path / "m10.toml"
    file.write_text(f'[outbox]\nlock_ttl = "{seconds}s"')
    assert load(file, {}, {}).settings.outbox.renewal.total_seconds() * 3 <= seconds
