"""`m10 bench` and `m10 chaos`: doors to programs that stand elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)

import m10actors
from m10actors.testing import chaos
from m10actors.testing.campaign import Campaign

REPOSITORY = Path(m10actors.__file__).parents[1]


def test_bench_becomes_the_benchmarks_of_the_repository(tmp_path: Path) -> None:
    """Asked for a workload that there is not, they say which there are: their words, their exit code."""
    ran = subprocess.run(
        [sys.executable, "-m", "m10actors", "bench", "W0", "--quick"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: python -m bench")
    assert "no such workload: W0" in ran.stderr


def test_bench_says_what_it_needs_where_only_the_package_is_installed(
    m10: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(m10actors, "__file__", str(tmp_path / "site-packages" / "m10actors" / "__init__.py"))
    refused = m10("bench")
    assert refused.code == 2
    assert "clone of the repository" in refused.err


def test_chaos_plays_the_campaign_that_is_asked_for_and_ends_with_its_verdict(
    m10: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The acceptance tests play campaigns; here it is which one, and what becomes of the verdict."""
    played: list[Campaign] = []

    def is_sound(campaign: Campaign) -> bool:
        played.append(campaign)
        return len(played) == 1

    monkeypatch.setattr(chaos, "play", is_sound)
    assert m10("chaos", "--seed", "7", "--kills", "3", "--count", "10").code == 0
    assert m10("chaos", "--substrate", "redis", "--only", "delete_stream", "--faults", "2").code == 1
    assert played == [chaos.everything(7, 10, 3), chaos.whatever_redis_can_do(1, 2, "delete_stream")]


def test_chaos_names_the_faults_that_there_are(m10: Command) -> None:  # noqa: F811
    for words in (["--only", "flush_valkey"], ["--substrate", "redis", "--only", "nothing"]):
        refused = m10("chaos", *words)
        assert refused.code == 2
        assert "one of black_hole, cut_append_only_file" in refused.err
