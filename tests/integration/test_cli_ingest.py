"""`m10 ingest`, the real command, into real servers."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_kit import M10, M10Here, Running, running
from command_kit import Command
from command_kit import m10 as command  # noqa: F401 (a fixture)

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import tokens
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

LINE = b'{"error_type": "TIMEOUT", "raw": "no answer within 30 s", "source": "search"}\n'
OTHER = b'{"error_type": "DNS", "raw": "no such host"}\n'


@pytest.fixture
def m10(tmp_path: Path, command: Command) -> M10:  # noqa: F811
    return M10Here(tmp_path, command)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "failures.jsonl"
    path.write_bytes(LINE * 3 + OTHER)
    return path


@pytest.fixture
def site(m10: M10, database: MigratedDatabase, redis_url: str) -> Iterator[Running]:
    """An instance whose data folder is the nearest `.m10`, with a token in it as `m10 dev` keeps one."""
    with running(m10, database, redis_url, m10.folder / ".m10" / "run") as instance:
        token = m10.folder / ".m10" / "token"
        token.write_text(tokens.create(database.pool("ops"), "local", ["recovery:write"]) + "\n")
        token.chmod(0o600)
        yield instance


def account(result: subprocess.CompletedProcess[bytes]) -> tuple[int, int, int, int]:
    """sent, accepted, duplicates, rejected."""
    counts = json.loads(result.stdout)
    assert counts["accepted"] + counts["duplicates"] + counts["rejected"] == counts["sent"]
    return counts["sent"], counts["accepted"], counts["duplicates"], counts["rejected"]


def occurrences(database: MigratedDatabase) -> dict[str, int]:
    """How often each source was counted."""
    with database.connect("superuser") as connection:
        rows = connection.execute("SELECT source, sum(occurrence_count)::int FROM recovery_candidates GROUP BY source")
        return dict(rows.fetchall())


def test_a_file_is_stored_and_a_second_time_counts_nothing(m10: M10, file: Path, database: MigratedDatabase) -> None:
    first = m10("ingest", str(file), "--database", database.url(), "--json")
    assert (first.returncode, account(first)) == (0, (4, 4, 0, 0)), first.stderr
    assert json.loads(first.stdout)["opened"] == 2
    second = m10("ingest", str(file), "--database", database.url(), "--json", "--batch-size", "3")
    assert (second.returncode, account(second)) == (0, (4, 0, 4, 0))
    assert occurrences(database) == {"search": 3, "file": 1}


def test_lines_that_were_appended_count_and_a_run_id_makes_all_lines_count(
    m10: M10, file: Path, database: MigratedDatabase
) -> None:
    into = ("ingest", str(file), "--database", database.url(), "--json")
    m10(*into)
    with file.open("ab") as appended:
        appended.write(LINE)
    assert account(m10(*into)) == (5, 1, 4, 0)
    assert account(m10(*into, "--run-id", "again")) == (5, 5, 0, 0)
    assert account(m10(*into, "--run-id", "again")) == (5, 0, 5, 0)


def test_a_key_from_a_field_counts_once_wherever_the_line_comes_from(m10: M10, database: MigratedDatabase) -> None:
    into = ("ingest", "-", "--database", database.url(), "--json", "--key-from", "meta.id")
    first = b'{"raw": "x", "meta": {"id": 1}}\n{"raw": "x", "meta": {"id": 2}}\n{"raw": "x"}\n'
    result = m10(*into, stdin=first)
    assert (result.returncode, account(result)) == (1, (3, 2, 0, 1))
    assert account(m10(*into, stdin=b'{"raw": "x", "meta": {"id": 2}}')) == (1, 0, 1, 0)
    inside = m10(*into, stdin=b'{"raw": "x", "meta": {"id": 3}, "idempotency_key": "2"}')
    assert account(inside) == (1, 0, 1, 0), "the key inside the line wins"


def test_standard_input_counts_each_time(m10: M10, database: MigratedDatabase) -> None:
    for _ in range(2):
        result = m10("ingest", "-", "--database", database.url(), "--source", "pipe", stdin=OTHER + LINE)
        assert result.returncode == 0
        assert b"2 accepted" in result.stdout
    assert occurrences(database) == {"pipe": 2, "search": 2}


def test_a_bad_line_spoils_only_itself(m10: M10, database: MigratedDatabase) -> None:
    mixed = b"".join((LINE, b"\n", b"no json\n", b"\xff\xfe\n", b"x" * 300_000 + b"\n", LINE))
    result = m10("ingest", "-", "--database", database.url(), "--json", "--rejects", "rejects.jsonl", stdin=mixed)
    assert (result.returncode, account(result)) == (1, (6, 2, 0, 4))
    kept = [json.loads(line) for line in (m10.folder / "rejects.jsonl").read_text().splitlines()]
    assert [(entry["line"], entry["problems"][0]["code"]) for entry in kept] == [
        (2, "object_expected"),
        (3, "invalid_json"),
        (4, "invalid_unicode"),
        (5, "too_large"),
    ]
    assert kept[1]["raw"] == "no json"
    assert b"line 3 rejected: invalid_json" in result.stderr
    assert occurrences(database) == {"search": 2}


def test_what_postgresql_refuses_spoils_only_itself(m10: M10, database: MigratedDatabase) -> None:
    database.connect("superuser").execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '22023'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON recovery_candidates FOR EACH ROW WHEN (NEW.error_code = 'POISON') "
        "EXECUTE FUNCTION refuse()"
    )
    poisoned = LINE * 5 + b'{"error_type": "POISON", "raw": "x"}\n' + LINE * 3
    result = m10("ingest", "-", "--database", database.url(), "--json", stdin=poisoned)
    assert (result.returncode, account(result)) == (1, (9, 8, 0, 1))
    assert b"line 6 rejected: store_refused" in result.stderr
    assert occurrences(database) == {"search": 8}


def test_a_binary_file_is_rejected_line_by_line(m10: M10, database: MigratedDatabase) -> None:
    (m10.folder / "binary").write_bytes(os.urandom(200_000))
    result = m10("ingest", "binary", "--database", database.url(), "--json")
    sent, accepted, duplicates, rejected = account(result)
    assert (result.returncode, accepted, duplicates, rejected) == (1, 0, 0, sent)
    assert result.stderr.count(b"\n") <= 7


def test_an_empty_file_is_no_mistake(m10: M10, database: MigratedDatabase) -> None:
    result = m10("ingest", "-", "--database", database.url(), "--json")
    assert (result.returncode, account(result)) == (0, (0, 0, 0, 0))


def test_the_configuration_names_the_database(m10: M10, file: Path, database: MigratedDatabase, redis_url: str) -> None:
    (m10.folder / "m10.toml").write_text(f'[database]\nurl = "{database.url()}"\n[redis]\nurl = "{redis_url}"\n')
    result = m10("ingest", str(file), "-c", "m10.toml", "--json")
    assert (result.returncode, account(result)) == (0, (4, 4, 0, 0)), result.stderr


def test_an_instance_takes_the_lines_however_it_and_its_token_are_named(
    m10: M10, file: Path, database: MigratedDatabase, site: Running
) -> None:
    token = m10.folder / ".m10" / "token"
    elsewhere = "m10_of_another_place"
    ways: dict[str, tuple[tuple[str, ...], str]] = {
        "nearest": ((), elsewhere),
        "data folder": (("--data-dir", str(m10.folder / ".m10")), elsewhere),
        "url": (("--url", site.api, "--token-file", str(token)), elsewhere),
        "environment": (("--url", site.api), token.read_text()),
    }
    for how, (arguments, in_environment) in ways.items():
        result = m10("ingest", str(file), "--json", "--run-id", how, *arguments, M10_TOKEN=in_environment)
        assert (result.returncode, account(result)) == (0, (4, 4, 0, 0)), (how, result.stderr)
        assert json.loads(result.stdout)["target"] == site.api
    assert occurrences(database) == {"search": 3 * len(ways), "file": len(ways)}


def test_a_token_that_is_wrong_or_does_too_little_is_told(
    m10: M10, file: Path, database: MigratedDatabase, site: Running
) -> None:
    reader = tokens.create(database.pool("ops"), "reader", ["recovery:read"])
    to = ("ingest", str(file), "--url", site.api)
    for arguments, words in (
        ((), b"401"),
        (("--token", "m10_wrong"), b"401"),
        (("--token", reader), b"the token lacks the scope recovery:write"),
        (("--token", "two\nlines"), b"what was given as a token is none"),
    ):
        result = m10(*to, *arguments)
        assert (result.returncode, words in result.stderr) == (2, True), result.stderr
        assert b"Traceback" not in result.stderr
    assert occurrences(database) == {}


def test_an_answer_that_was_lost_is_asked_for_again_and_counts_once(
    m10: M10, database: MigratedDatabase, site: Running
) -> None:
    address = urlsplit(site.api)
    assert address.hostname is not None
    assert address.port is not None
    with FaultProxy((address.hostname, address.port)) as proxy:
        proxy.swallow_replies()
        assert isinstance(proxy.address, tuple)
        url = "http://{}:{}".format(*proxy.address)
        token = str(m10.folder / ".m10" / "token")
        process = m10.begin("ingest", "-", "--url", url, "--token-file", token, "--json")
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(LINE * 3)
        process.stdin.close()
        assert b"target_unavailable" in process.stderr.readline()
        proxy.clean()
        assert process.wait(timeout=60) == 0
    assert occurrences(database) == {"search": 3}


@pytest.mark.parametrize("way", ["http", "database"])
def test_an_outage_of_postgresql_is_waited_for(
    m10: M10, file: Path, database: MigratedDatabase, servers: EmbeddedServers, site: Running, way: str
) -> None:
    servers.postgres.stop("immediate")
    to = () if way == "http" else ("--database", database.url(), "--set", "database.checkout_timeout=300ms")
    process = m10.begin("ingest", str(file), "--retry-for", "1m", "--json", *to)
    assert process.stderr is not None
    assert b"target_unavailable" in process.stderr.readline()
    servers.start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["sent"] == 4
    assert b"target_back" in err
    assert occurrences(database) == {"search": 3, "file": 1}


@pytest.mark.parametrize(
    "to",
    [("--url", "http://127.0.0.1:1", "--token", "x"), ("--database", "postgresql://u:s3cret@127.0.0.1:1/x")],
    ids=["http", "database"],
)
def test_a_target_that_stays_away_ends_with_69_and_an_account(m10: M10, file: Path, to: tuple[str, ...]) -> None:
    result = m10("ingest", str(file), "--retry-for", "1s", "--json", *to)
    assert (result.returncode, account(result)) == (69, (0, 0, 0, 0))
    assert json.loads(result.stdout)["complete"] is False
    assert b"127.0.0.1:1" in result.stderr
    assert b"s3cret" not in result.stderr + result.stdout
    assert b"Traceback" not in result.stderr


def test_without_any_target_it_says_where_it_looked(m10: M10, file: Path) -> None:
    result = m10("ingest", str(file))
    assert (result.returncode, result.stdout) == (69, b"")
    assert b"no instance of m10 runs here (looked in " in result.stderr


def test_a_database_without_the_schema_is_told_to_be_migrated(m10: M10, file: Path, servers: EmbeddedServers) -> None:
    result = m10("ingest", str(file), "--database", servers.start().postgres_superuser_url)
    assert result.returncode == 2
    assert b"run m10 migrate" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nofile",), b"nofile cannot be read: No such file or directory"),
        (("/",), b"/ cannot be read: Is a directory"),
        ((), b"Missing argument"),
        (("failures.jsonl", "--url", "ftp://x"), b"expected an address like https://HOST/PATH"),
        (("failures.jsonl", "--url", "http://u:s3cret@h/"), b"without a user or password"),
        (("failures.jsonl", "--url", "http://127.0.0.1:1", "--data-dir", "x"), b"--url names the target"),
        (("failures.jsonl", "--database", "postgres//u:s3cret@h/d"), b"database.url: expected an address like"),
        (("failures.jsonl", "--retry-for", "soon"), b"--retry-for: expected a duration"),
        (("failures.jsonl", "--batch-size", "0"), b"--batch-size"),
        (("failures.jsonl", "--format", "csv"), b"--format"),
        (("failures.jsonl", "--token-file", "nofile"), b"--token-file"),
        (("failures.jsonl", "--url", "http://h", "--rejects", "failures.jsonl"), b"names the input itself"),
        (("failures.jsonl", "--url", "http://h", "--rejects", "no/such/folder"), b"cannot be written"),
        (("failures.jsonl", "--url", "http://h", "--run-id", "x", "--key-from", "y"), b"exclude one another"),
        (("-", "--url", "http://h", "--run-id", "x"), b"--run-id goes with a file"),
        (("failures.jsonl", "-c", "nofile.toml"), b"expected a readable file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_told_before_anything_is_sent(
    m10: M10, file: Path, arguments: tuple[str, ...], words: bytes
) -> None:
    content = file.read_bytes()
    result = m10("ingest", *arguments)
    assert (result.returncode, result.stdout) == (2, b""), result.stderr
    assert words in result.stderr
    assert b"s3cret" not in result.stderr
    assert b"Traceback" not in result.stderr
    assert file.read_bytes() == content


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_far_it_came(m10: M10, database: MigratedDatabase, by: signal.Signals) -> None:
    process = m10.begin("ingest", "-", "--database", database.url(), "--batch-size", "1", "--json")
    assert process.stdin is not None
    process.stdin.write(LINE * 2)
    process.stdin.flush()
    eventually(lambda: occurrences(database) == {"search": 2})
    process.send_signal(by)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    told = json.loads(out)
    assert told["sent"] == told["accepted"] >= 1, "the first line was accounted for before the second was sent"
    assert told["complete"] is False
