"""`m10 ingest` on logs and journals, and following a file: the real command, into a real database."""

import gzip
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import M10, M10Here
from command_kit import Command
from command_kit import m10 as command  # noqa: F401 (a fixture)

from m10actors.embedded import EmbeddedServers
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

INFO = "2024-01-01 12:00:00,000 INFO [main] x.Y: fine\n"
ERROR = "2024-01-01 12:00:00,000 ERROR [main] x.Y: it broke\n"
TRACE = "java.net.ConnectException: refused\n\tat x.Y.run(Y.java:1)\n"
JOURNAL = '{"PRIORITY": "3", "MESSAGE": "it broke", "__CURSOR": "s=1", "_SYSTEMD_UNIT": "x.service"}\n'


@pytest.fixture
def m10(tmp_path: Path, command: Command) -> M10:  # noqa: F811
    return M10Here(tmp_path, command)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(INFO + ERROR + TRACE + INFO + ERROR)
    return path


class Followed:
    """`m10 ingest --follow` on a log, as long as a test runs."""

    def __init__(self, m10: M10, log: Path, url: str) -> None:
        options = ("--format", "log", "--follow", "--quiet", "100ms", "--json", "--database", url)
        self._arguments = ("ingest", str(log), *options, "--set", "database.checkout_timeout=300ms")
        self._m10 = m10
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        self.process = self._m10.begin(*self._arguments)
        return self.process

    def end(self, by: signal.Signals = signal.SIGTERM) -> dict[str, object]:
        """Ends it; the account."""
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        account = json.loads(out)
        assert isinstance(account, dict)
        return account


@pytest.fixture
def followed(m10: M10, log: Path, database: MigratedDatabase) -> Iterator[Followed]:
    running = Followed(m10, log, database.url())
    yield running
    running.process.kill()
    running.process.communicate()


def occurrences(database: MigratedDatabase) -> dict[str, int]:
    """How often each error code was counted."""
    with database.connect("superuser") as connection:
        rows = connection.execute(
            "SELECT error_code, sum(occurrence_count)::int FROM recovery_candidates GROUP BY error_code"
        )
        return dict(rows.fetchall())


def test_the_failures_of_a_log_count_once(m10: M10, log: Path, database: MigratedDatabase) -> None:
    into = ("ingest", str(log), "--format", "log", "--database", database.url(), "--json")
    first, second = m10(*into), m10(*into)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    told = json.loads(first.stdout)
    assert (told["lines"], told["sent"], told["accepted"], told["joined"], told["ignored"]) == (6, 2, 2, 2, 2)
    assert json.loads(second.stdout)["duplicates"] == 2
    assert occurrences(database) == {"ConnectException": 1, "UNKNOWN": 1}


def test_the_same_bug_of_two_hosts_versions_and_days_is_one_candidate_in_every_language(
    m10: M10, database: MigratedDatabase
) -> None:
    (m10.folder / "web-1.log").write_text("""\
2026-01-02 03:04:05,000 INFO [main] x.Y: on web-1
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Cart).Total(0x4584c5?, 0x2321f8f02190?)
\t/home/build/shop-1.2/cart.go:5 +0x1b
main.main()
\t/home/build/shop-1.2/main.go:10 +0xe7
2026-01-02 03:04:06,000 INFO [main] x.Y: on web-1
/srv/shop-1.2/cart.rb:3:in `block in total': undefined method `price' for nil:NilClass (NoMethodError)
\tfrom /srv/shop-1.2/cart.rb:3:in `sum'
\tfrom /srv/shop-1.2/cart.rb:14:in `<main>'
2026-01-02 03:04:07,000 INFO [main] x.Y: on web-1
thread 'main' (3347) panicked at src/cart.rs:12:9:
index out of bounds: the len is 3 but the index is 8
stack backtrace:
   0: core::panicking::panic_bounds_check
             at /rustc/59807616/library/core/src/panicking.rs:271:5
   1: shop::cart::total
             at ./src/cart.rs:12:9
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
[02-Jan-2026 03:04:08 UTC] PHP Fatal error:  Uncaught Shop\\Gone: order 5 in /srv/shop-1.2/cart.php:5
Stack trace:
#0 /srv/shop-1.2/main.php(5): Shop\\Cart->close(-1)
#1 {main}
  thrown in /srv/shop-1.2/cart.php on line 5
""")
    (m10.folder / "db9.log").write_text("""\
panic: runtime error: index out of range [7] with length 6

goroutine 18 [running]:
main.(*Cart).Total(0xc000010250, 0x7)
\t/opt/ci/77/cart.go:9 +0x2f
main.main()
\t/opt/ci/77/main.go:21 +0x1c
/opt/shop/cart.rb:7:in `block in total': undefined method `price' for nil:NilClass (NoMethodError)
\tfrom /opt/shop/cart.rb:7:in `sum'
\tfrom /opt/shop/cart.rb:31:in `<main>'

thread 'main' (99) panicked at src/cart.rs:15:9:
index out of bounds: the len is 6 but the index is 7
stack backtrace:
   0: core::panicking::panic_bounds_check
             at /rustc/9fc6b431/library/core/src/panicking.rs:276:5
   1: shop::cart::total
             at ./src/cart.rs:15:9
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
PHP Fatal error:  Uncaught Shop\\Gone: order 7301 in /opt/shop/cart.php:8
Stack trace:
#0 /opt/shop/main.php(6): Shop\\Cart->close(-1)
#1 {main}
  thrown in /opt/shop/cart.php on line 8
""")
    for log in ("web-1.log", "db9.log"):
        told = json.loads(m10("ingest", log, "--format", "log", "--database", database.url(), "--json").stdout)
        assert (told["accepted"], told["rejected"]) == (4, 0)
    with database.connect("superuser") as connection:
        rows = connection.execute("SELECT error_code, occurrence_count FROM recovery_candidates ORDER BY 1").fetchall()
    assert rows == [("Gone", 2), ("NoMethodError", 2), ("UNKNOWN", 2), ("UNKNOWN", 2)]


def test_a_gzipped_log_and_standard_input_are_read_as_well(m10: M10, log: Path, database: MigratedDatabase) -> None:
    packed = gzip.compress(log.read_bytes())
    (m10.folder / "app.log.gz").write_bytes(packed)
    into = ("--format", "log", "--database", database.url(), "--json")
    assert json.loads(m10("ingest", "app.log.gz", *into).stdout)["accepted"] == 2
    assert json.loads(m10("ingest", "-", *into, stdin=log.read_bytes()).stdout)["accepted"] == 2
    (m10.folder / "app.log.gz").write_bytes(packed[:-12])
    damaged = m10("ingest", "app.log.gz", *into)
    assert (damaged.returncode, json.loads(damaged.stdout)["complete"]) == (1, False)
    assert b"app.log.gz cannot be read to its end" in damaged.stderr
    assert b"Traceback" not in damaged.stderr


def test_an_entry_of_the_journal_counts_once_wherever_it_comes_from(m10: M10, database: MigratedDatabase) -> None:
    into = ("ingest", "-", "--format", "journald", "--database", database.url(), "--json")
    first = m10(*into, stdin=JOURNAL.encode() * 2)
    assert (first.returncode, json.loads(first.stdout)["accepted"], json.loads(first.stdout)["duplicates"]) == (0, 1, 1)
    assert json.loads(m10(*into, stdin=JOURNAL.encode()).stdout)["duplicates"] == 1


@pytest.mark.parametrize(
    ("content", "rejected"),
    [(b"", 0), (INFO.encode(), 0), (b"\x7fELF\x00\xff\n" * 9, 9)],
    ids=["empty", "info", "binary"],
)
def test_an_input_without_failures_says_so_and_exits_with_1(
    m10: M10, database: MigratedDatabase, content: bytes, rejected: int
) -> None:
    (m10.folder / "input").write_bytes(content)
    into = ("--format", "log", "--database", database.url(), "--json", "--rejects", "rejects.jsonl")
    result = m10("ingest", "input", *into)
    assert (result.returncode, json.loads(result.stdout)["rejected"]) == (1, rejected)
    assert b"no failure found in input" in result.stderr
    assert len((m10.folder / "rejects.jsonl").read_text().splitlines()) == rejected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "log", "--levels", ""), b"--levels: expected one or more levels"),
        (("--format", "log", "--pattern", "("), b"--pattern: no regular expression of RE2: missing )"),
        (("--format", "log", "--pattern", "x"), b"--pattern: no named group"),
        (("--pattern", "(?P<level>x)"), b"--pattern goes with --format log"),
        (("--format", "log", "--key-from", "id"), b"--key-from goes with --format jsonl"),
        (("--format", "log", "--follow", "--quiet", "soon"), b"--quiet: expected a duration"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_told(m10: M10, log: Path, arguments: tuple[str, ...], words: bytes) -> None:
    result = m10("ingest", str(log), "--url", "http://127.0.0.1:1", *arguments)
    assert (result.returncode, result.stdout) == (2, b""), result.stderr
    assert words in result.stderr


def test_what_cannot_be_followed_is_told(m10: M10) -> None:
    result = m10("ingest", "-", "--follow", "--url", "http://127.0.0.1:1")
    assert (result.returncode, b"--follow goes with a plain file" in result.stderr) == (2, True)


def test_a_log_is_followed_across_a_rotation_and_a_restart(
    followed: Followed, m10: M10, log: Path, database: MigratedDatabase
) -> None:
    eventually(lambda: occurrences(database) == {"ConnectException": 1, "UNKNOWN": 1}, within=60)
    log.rename(f"{log}.1")
    log.write_text(ERROR.replace("it broke", "HTTP 503 after the rotation"))
    eventually(lambda: occurrences(database).get("HTTP_503") == 1)
    assert followed.end()["accepted"] == 3
    with log.open("a") as file:
        file.write(ERROR.replace("it broke", "HTTP 503 while nobody looked"))
    followed.start()
    eventually(lambda: occurrences(database).get("HTTP_503") == 2, within=60)
    account = followed.end(signal.SIGINT)
    assert (account["accepted"], account["duplicates"], account["complete"]) == (1, 0, True)
    (kept,) = (m10.folder / ".local/state/m10/follow").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_an_outage_is_waited_for_and_nothing_counts_twice(
    followed: Followed, m10: M10, log: Path, database: MigratedDatabase, servers: EmbeddedServers
) -> None:
    eventually(lambda: sum(occurrences(database).values()) == 2, within=60)
    servers.postgres.stop("immediate")
    with log.open("a") as file:
        file.write(ERROR.replace("it broke", "HTTP 503") + INFO)
    assert followed.process.stderr is not None
    assert any(b"target_unavailable" in line for line in followed.process.stderr)  # after what may be said of hints
    account = followed.end()
    assert account["accepted"] == 2
    servers.start()
    followed.start()
    eventually(lambda: occurrences(database) == {"ConnectException": 1, "UNKNOWN": 1, "HTTP_503": 1}, within=60)
    assert followed.end()["duplicates"] == 0


def test_a_file_is_followed_by_one_process_only(
    followed: Followed, m10: M10, log: Path, database: MigratedDatabase
) -> None:
    eventually(lambda: sum(occurrences(database).values()) == 2, within=60)
    second = m10("ingest", str(log), "--format", "log", "--follow", "--database", database.url())
    assert (second.returncode, b"another process follows" in second.stderr) == (2, True), second.stderr
    (kept,) = (m10.folder / ".local/state/m10/follow").glob("*.json")
    followed.end()
    kept.write_text("{}")
    damaged = m10("ingest", str(log), "--format", "log", "--follow", "--database", database.url())
    assert (damaged.returncode, b"it holds no position" in damaged.stderr) == (2, True), damaged.stderr
