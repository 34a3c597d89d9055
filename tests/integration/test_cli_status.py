"""`m10 status` and `m10 tree`, asked of real instances."""

import json
import os
import subprocess
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cli_kit import COMMAND, M10, Running, running

import m10actors
from m10actors.cli import views
from m10actors.postgres import tokens
from m10actors.testing.database import MigratedDatabase


@pytest.fixture
def m10(tmp_path: Path) -> M10:
    return M10(tmp_path)


@pytest.fixture
def site(m10: M10, database: MigratedDatabase, redis_url: str) -> Iterator[Running]:
    with running(m10, database, redis_url, m10.folder / ".m10" / "run") as instance:
        yield instance


def test_an_instance_says_how_it_is(m10: M10, site: Running) -> None:
    plain = m10("status")
    assert plain.returncode == 0, plain.stderr
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in plain.stdout.decode().splitlines()}
    assert rows["what"] == ["value", "age", "detail"]
    assert f"m10 {m10actors.__version__} {site.facts['worker']}" in rows["process"][2]
    assert {"postgres", "redis", "leader", "outbox", "fallback queue", "evaluations due"} <= rows.keys()
    whole = m10("status", "--json", "--data-dir", str(m10.folder / ".m10"))
    assert json.loads(whole.stdout)["worker"] == site.facts["worker"]


def test_the_tree_is_shown_with_its_levels(m10: M10, site: Running) -> None:
    lines = m10("tree").stdout.decode().splitlines()
    assert lines[0].split("\t") == list(views.CHILDREN)
    assert lines[1].startswith("root\trunning\t")
    children = [line.partition("\t")[0] for line in lines]
    assert children.index("  intake") < children.index("    stream_reader")
    assert json.loads(m10("tree", "--json").stdout)["id"] == "root"


def test_every_way_to_the_operations_listener_leads_there(m10: M10, database: MigratedDatabase, site: Running) -> None:
    socket, tcp = site.ops
    assert m10("status", "--url", socket).returncode == 0
    refused = m10("status", "--url", f"http://{tcp}")
    assert (refused.returncode, b"401" in refused.stderr) == (2, True)
    token = tokens.create(database.pool("ops"), "operator", ["ops"])
    assert m10("status", "--url", f"http://{tcp}", M10_TOKEN=token).returncode == 0
    assert m10("status", "--url", tcp, "--token", token).returncode == 0


def test_an_address_of_the_api_is_not_of_operations(m10: M10, site: Running) -> None:
    for verb in ("status", "tree"):
        result = m10(verb, "--url", site.api)
        assert (result.returncode, result.stdout) == (2, b"")
        assert b"this is the API" in result.stderr


def test_of_two_instances_one_has_to_be_chosen(
    m10: M10, database: MigratedDatabase, redis_url: str, site: Running
) -> None:
    with running(m10, database, redis_url, m10.folder / ".m10" / "run") as other:
        result = m10("status")
        assert result.returncode == 2
        for one in (site, other):
            worker = str(one.facts["worker"])
            assert worker.encode() in result.stderr
            chosen = m10("status", "--json", "--instance", worker)
            assert json.loads(chosen.stdout)["worker"] == worker


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 69, b"no instance of m10 runs here"),
        (("--data-dir", "nothing"), 69, b"nothing/run"),
        (("--url", "unix:nothing"), 69, b"does not answer"),
        (("--url", "http://127.0.0.1:1"), 69, b"does not answer"),
        (("--url", "ftp://x"), 2, b"an operations address looks like"),
        (("--url", "http://127.0.0.1:x"), 2, b"an operations address looks like"),
        (("--url", ""), 2, b"an operations address looks like"),
    ],
)
def test_what_cannot_be_reached_is_told(m10: M10, arguments: tuple[str, ...], code: int, words: bytes) -> None:
    result = m10("status", *arguments)
    assert (result.returncode, result.stdout) == (code, b"")
    assert words in result.stderr
    assert b"Traceback" not in result.stderr


def test_top_without_a_terminal_says_the_same_as_status_and_tree_with_rates(m10: M10, site: Running) -> None:
    once = m10("top", "--once")
    assert once.returncode == 0, once.stderr
    assert {"what\tvalue\tage\tdetail", "what\trate", "\t".join(views.CHILDREN)} <= set(
        once.stdout.decode().splitlines()
    )
    document = json.loads(m10("top", "--json").stdout)
    assert (document["status"]["worker"], document["tree"]["id"]) == (site.facts["worker"], "root")
    assert document["per_second"].keys() == document["status"]["totals"].keys()


def test_top_draws_on_a_terminal_until_q(m10: M10, site: Running) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (80, 200))
    process = subprocess.Popen(
        [*COMMAND, "top", "--every", "50ms"],
        cwd=m10.folder,
        env=m10.environ(TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while b"outbox_leader" not in seen:
        seen += os.read(ours, 65536)
    os.write(ours, b"q")
    with suppress(OSError):  # EIO: the other end is closed
        while os.read(ours, 65536):
            continue
    assert process.wait(30) == 0
    os.close(ours)
