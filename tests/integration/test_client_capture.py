"""What is captured arrives exactly once: past outages, lost answers, kill -9, forks, and disks that take nothing."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from web_kit import LOOPBACK, Site, listening, open_site

from m10actors.client import RecoveryClient, RecoveryHandler
from m10actors.embedded import EmbeddedServers
from m10actors.testing import outage
from m10actors.testing.outage import Raiser
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually
from m10actors.web.apps import api_app
from m10actors.web.server import Listener

SCOPE = "recovery:write"


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "client_capture") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


@pytest.fixture
def proxy(site: Site) -> Iterator[FaultProxy]:
    host, _, port = site.addresses["api"].rpartition(":")
    with FaultProxy((host, int(port))) as proxy:
        yield proxy


@pytest.fixture
def empty(site: Site) -> Site:
    site.sql("TRUNCATE recovery_candidates, m10_recovery.accepted_key CASCADE")
    return site


def url_of(proxy: FaultProxy) -> str:
    return "http://{}:{}".format(*proxy.address)  # type: ignore[misc]


def client_of(proxy: FaultProxy, site: Site, spool: Path | None, **options: Any) -> RecoveryClient:
    return RecoveryClient(url_of(proxy), site.token[SCOPE], spool=spool, **options)


def caught(message: str = "late") -> TimeoutError:
    try:
        raise TimeoutError(message)  # noqa: TRY301
    except TimeoutError as error:
        return error


def segments(folder: Path) -> list[Path]:
    return list(folder.rglob("*.jsonl"))


def spooled(folder: Path) -> int:
    """Failures in the spool, as far as it does not change while it is looked at."""
    try:
        return sum(path.read_bytes().count(b"\n") for path in segments(folder))
    except FileNotFoundError:  # a draft that has got its name meanwhile
        return -1


def keys(site: Site) -> set[UUID]:
    return {key for (key,) in site.sql("SELECT key FROM m10_recovery.accepted_key")}


def test_all_that_was_captured_while_the_server_was_away_arrives_once(
    empty: Site, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.refuse()
    client = client_of(proxy, empty, tmp_path)
    captured = [client.capture(caught(f"late {number:b}"), meta={"number": number}) for number in range(2_000)]
    eventually(lambda: segments(tmp_path))
    assert client.stats.sent == 0
    proxy.clean()
    assert client.flush(30.0)
    assert (client.stats.captured, client.stats.sent, client.stats.waiting) == (2_000, 2_000, 0)
    assert keys(empty) == set(captured)
    assert outage.arrived(empty.url) == (2_000, 2_000)
    assert segments(tmp_path) == []
    client.close()


def test_an_answer_that_was_lost_counts_nothing_twice(empty: Site, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.swallow_replies()
    with client_of(proxy, empty, tmp_path) as client:
        client.capture(caught())
        eventually(lambda: proxy.swallowed)
        assert keys(empty)
        assert client.stats.sent == 0
        proxy.clean()
        assert client.flush()
        assert client.stats.duplicates == 1
    assert outage.arrived(empty.url) == (1, 1)


def test_nothing_arrives_twice_or_is_lost_on_disk_when_the_capturing_process_is_killed(
    empty: Site, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.swallow_replies()  # so that some is stored, and its sender does not know
    with Raiser(url_of(proxy), empty.token[SCOPE], tmp_path, count=100_000, seconds=60.0) as raiser:
        eventually(lambda: keys(empty), within=30.0)
        os.kill(raiser.process.pid, signal.SIGKILL)
        raiser.process.wait()
    on_disk = spooled(tmp_path)
    assert on_disk > 0
    proxy.clean()
    with client_of(proxy, empty, tmp_path) as heir:  # captures nothing itself
        eventually(lambda: heir.stats.sent + heir.stats.duplicates == on_disk, within=30.0)
        assert heir.stats.duplicates
    arrived, counted = outage.arrived(empty.url)
    assert arrived == counted
    assert on_disk <= arrived <= on_disk + 500  # what had been sent before the first answer was lost


def test_two_processes_that_share_a_spool_send_nothing_twice(empty: Site, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.refuse()
    token = empty.token[SCOPE]
    with (
        Raiser(url_of(proxy), token, tmp_path, count=400, seconds=0.1) as first,
        Raiser(url_of(proxy), token, tmp_path, count=400, seconds=0.1) as second,
    ):
        assert first.said()["captured"] == second.said()["captured"] == 400
        proxy.clean()
        ended = [first.end(), second.end()]
    assert sum(said["sent"] for said in ended) == 800
    assert sum(said["duplicates"] for said in ended) == 0
    assert outage.arrived(empty.url) == (800, 800)


def test_a_black_hole_holds_up_nobody_who_captures(empty: Site, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.dark()
    client = client_of(proxy, empty, tmp_path)
    for _ in range(100):
        client.capture(caught())
    eventually(lambda: spooled(tmp_path) == 100)
    proxy.clean()
    assert client.flush()
    assert outage.arrived(empty.url) == (100, 100)
    client.close()


def test_a_program_that_ends_sends_what_it_captured(empty: Site, proxy: FaultProxy, tmp_path: Path) -> None:
    assert end_program(empty, proxy, tmp_path, "raise SystemExit(3)") == (3, "")
    assert outage.arrived(empty.url) == (1, 1)
    assert segments(tmp_path) == []


def test_a_program_that_ends_without_a_server_leaves_it_to_the_next(
    empty: Site, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.refuse()
    code, said = end_program(empty, proxy, tmp_path, "")
    assert code == 0
    assert said.count("captured failures are kept and sent later") == 1
    assert len(segments(tmp_path)) == 1
    proxy.clean()
    with client_of(proxy, empty, tmp_path) as heir:
        eventually(lambda: heir.stats.sent == 1)


def end_program(site: Site, proxy: FaultProxy, spool: Path, last: str) -> tuple[int, str]:
    """A program that captures one exception and ends as `last` says: its exit status and standard error."""
    program = (
        f"from m10actors.client import RecoveryClient\nclient = RecoveryClient(*{[url_of(proxy), site.token[SCOPE]]}"
    )
    program += f", spool={str(spool)!r})\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    client.capture()\n{last}\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def test_a_child_after_fork_captures_for_itself_and_the_parent_goes_on(
    empty: Site, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.refuse()
    client = client_of(proxy, empty, tmp_path)
    client.capture(caught("parent"))
    eventually(lambda: segments(tmp_path))
    child = os.fork()
    if child == 0:
        client.capture(caught("child"))
        proxied = client.stats.captured == 1 and not client.flush(0.3)
        os._exit(0 if proxied else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.capture(caught("parent again"))
    proxy.clean()
    eventually(lambda: outage.arrived(empty.url) == (3, 3), within=20.0)  # the child's is inherited
    client.close()


@pytest.mark.parametrize("spool", [None, Path("/proc/no/spool")], ids=["none", "not writable"])
def test_without_a_disk_the_memory_keeps_what_it_can_and_counts_the_rest(
    empty: Site, proxy: FaultProxy, spool: Path | None
) -> None:
    proxy.refuse()
    client = client_of(proxy, empty, spool, buffer_bytes=20_000)
    answers = [client.capture(caught()) for _ in range(100)]
    taken = sum(answer is not None for answer in answers)
    assert 0 < taken < 100
    assert (client.stats.captured, client.stats.dropped, client.stats.waiting) == (taken, 100 - taken, taken)
    proxy.clean()
    assert client.flush()
    assert client.stats.sent == taken
    assert outage.arrived(empty.url) == (taken, taken)
    client.close()


def test_a_full_spool_leaves_the_rest_in_memory_and_all_arrives(empty: Site, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.refuse()
    client = client_of(proxy, empty, tmp_path, spool_bytes=20_000)
    for _ in range(50):
        client.capture(caught(), meta={"filler": "x" * 1_000})
    proxy.clean()
    assert client.flush(20.0)
    assert outage.arrived(empty.url) == (50, 50)
    client.close()


def test_a_wrong_token_keeps_everything_and_says_so_once(
    empty: Site, proxy: FaultProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = RecoveryClient(url_of(proxy), "m10_wrong", spool=tmp_path)
    client.capture(caught())
    eventually(lambda: "the token is not known" in caplog.text)
    client.capture(caught())
    assert not client.flush(0.5)
    assert [record.levelname for record in caplog.records if record.name == "m10actors.client"] == ["WARNING"]
    client.close()
    with client_of(proxy, empty, tmp_path) as corrected:
        eventually(lambda: corrected.stats.sent == 2)


def test_a_line_that_a_crash_has_cut_or_spoiled_stops_nothing(empty: Site, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.refuse()
    with client_of(proxy, empty, tmp_path) as client:
        client.capture(caught())
    [dead] = segments(tmp_path)
    good = dead.read_bytes()
    folder = tmp_path / "again" / dead.parent.name
    folder.mkdir(parents=True)
    (folder / "1-dead.jsonl").write_bytes(b'{"spoiled\n' + good + b"\xff\n" + good[: len(good) // 2])
    proxy.clean()
    with client_of(proxy, empty, tmp_path / "again") as heir:
        eventually(lambda: heir.stats.rejected == 2)  # counted before it is done with
        assert heir.flush()
        assert (heir.stats.torn, heir.stats.waiting) == (1, 0)
        assert heir.stats.sent + heir.stats.duplicates == 1


def test_the_handler_reports_what_is_logged_and_never_what_it_caused_itself(
    empty: Site, proxy: FaultProxy, tmp_path: Path
) -> None:
    with client_of(proxy, empty, tmp_path) as client:
        handler = RecoveryHandler(client, level="DEBUG")
        root, shop = logging.getLogger(), logging.getLogger("shop")
        before = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            shop.error("HTTP 503 from payments")
            try:
                raise caught("no answer")
            except TimeoutError:
                shop.exception("order lost")
            assert client.flush()
            client.ingest(raw="beside it")
        finally:
            root.removeHandler(handler)
            root.setLevel(before)
        assert client.stats.captured == client.stats.sent == 2
    found = empty.sql("SELECT error_code, error_message FROM recovery_candidates ORDER BY id")
    assert set(found) == {
        ("HTTP_503", "HTTP 503 from payments"),
        ("TimeoutError", "no answer"),
        ("UNKNOWN", "beside it"),
    }


def test_what_a_decorated_function_raises_is_captured_and_raised_on(empty: Site, proxy: FaultProxy) -> None:
    with client_of(proxy, empty, None) as client:

        @client.captures
        def fail(message: str) -> None:
            """Fails."""
            raise TimeoutError(message)

        with pytest.raises(TimeoutError, match="late"):
            fail("late")
        assert (fail.__name__, fail.__doc__) == ("fail", "Fails.")
        assert client.flush()
        assert client.stats.sent == 1


def test_an_exception_that_logs_while_it_is_read_is_captured_once(empty: Site, proxy: FaultProxy) -> None:
    class Chatty(Exception):
        def __str__(self) -> str:
            logging.getLogger("shop").error("somebody reads me")
            return "chatty"

    with client_of(proxy, empty, None) as client:
        handler = RecoveryHandler(client)
        logging.getLogger("shop").addHandler(handler)
        try:
            client.capture(Chatty())
        finally:
            logging.getLogger("shop").removeHandler(handler)
        assert client.stats.captured == 1


def test_capturing_with_a_full_stack_raises_nothing_of_its_own(empty: Site, proxy: FaultProxy) -> None:
    with client_of(proxy, empty, None) as client:

        def deeper() -> None:
            try:
                deeper()
            except RecursionError as error:
                client.capture(error)
                raise

        with pytest.raises(RecursionError):
            deeper()
        assert client.stats.captured


def test_nothing_to_report_is_no_error(proxy: FaultProxy, site: Site) -> None:
    with client_of(proxy, site, None) as client:
        assert client.capture() is None
    assert client.capture(caught()) is None  # it is closed
    assert client.stats.dropped == 1


def test_a_database_is_a_server_too(empty: Site, servers: EmbeddedServers, tmp_path: Path) -> None:
    url = servers.start().postgres_url("m10_app", "client_capture")
    with RecoveryClient(url, spool=tmp_path, source=f"shop-{uuid4()}") as client:
        client.capture(caught())
        assert client.flush()
    assert outage.arrived(empty.url) == (1, 1)
    assert not any(url in str(path) for path in tmp_path.iterdir())
