"""Completion in the shell, by the protocol that the shells' scripts speak; verbs are loaded only where one is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from m10actors.cli.main import VERBS, app

SHELLS = ("bash", "zsh", "fish")


def completions(shell: str, words: str) -> str:
    """What the script of the shell gets for a line of which `words` are typed."""
    environ = {"_M10_COMPLETE": f"complete_{shell}"}
    match shell:
        case "bash":
            environ |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        case "fish":
            environ |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        case _:
            environ |= {"_TYPER_COMPLETE_ARGS": words}
    ran = CliRunner().invoke(app, env=environ, prog_name="m10")
    assert ran.exception is None or isinstance(ran.exception, SystemExit)
    return ran.output


@pytest.mark.parametrize("shell", SHELLS)
def test_every_verb_is_offered(shell: str) -> None:
    offered = completions(shell, "m10 ")
    for verb in VERBS:
        assert verb.name in offered


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        ("m10 candidates ", ("list", "show", "approve", "reject"), "resend"),
        ("m10 outbox re", ("resend",), "list"),
        ("m10 outbox list --d", ("--dead", "--done", "--destination", "--data-dir", "--database"), "--json"),
        ("m10 candidates list --status ro", ("rolled_back",), "failed"),
        ("m10 dlq list --stage e", ("evaluation", "entry"), "other"),
        ("m10 token new x --scope recovery:w", ("recovery:write",), "ops"),
    ],
)
def test_verbs_below_options_and_their_values_are_offered(
    shell: str, words: str, offered: tuple[str, ...], not_offered: str
) -> None:
    found = completions(shell, words)
    for each in offered:
        assert each.replace(":", "\\\\:" if shell == "zsh" else ":") in found
    assert not_offered not in found


@pytest.mark.needs("bash")
def test_bash_completes_with_the_script_that_it_is_given(tmp_path: Path) -> None:
    command = tmp_path / "m10"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m m10actors "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(m10 --show-completion bash)"
        COMP_WORDS=(m10 outbox re) COMP_CWORD=2
        _m10_completion m10
        echo "${COMPREPLY[@]}"
    """
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "resend\n", ran.stderr
