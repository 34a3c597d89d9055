"""The examples of the client run as they stand, against a real server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_kit import LOOPBACK, Site, listening, open_site

from m10actors.embedded import EmbeddedServers
from m10actors.web.apps import api_app
from m10actors.web.server import Listener

EXAMPLES = Path(__file__).parents[2] / "examples"
STORED = {  # error code of each candidate, with its count
    "client_sync": {"TIMEOUT": 1, "HTTP_503": 3},
    "client_async": {"TIMEOUT": 1, "DNS_EAI_NONAME": 1, "ConnectionRefusedError": 2},
    "client_capture": {"KeyError": 1, "TimeoutError": 2},
    "client_logging": {"HTTP_503": 1, "OverflowError": 1},
}


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "client_examples") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


def test_every_example_is_listed() -> None:
    assert {path.stem for path in EXAMPLES.glob("client_*.py")} == set(STORED)


@pytest.mark.parametrize("name", STORED)
def test_an_example_reports_what_it_says(name: str, site: Site, tmp_path: Path) -> None:
    site.sql("TRUNCATE recovery_candidates, m10_recovery.accepted_key CASCADE")
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", f"http://{site.addresses['api']}", site.token["recovery:write"]],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "False" not in done.stdout
    found = site.sql("SELECT error_code, sum(occurrence_count) FROM recovery_candidates GROUP BY error_code")
    assert {code: int(count) for code, count in found} == STORED[name]
    assert list((tmp_path / ".m10").rglob("*.jsonl")) == []
