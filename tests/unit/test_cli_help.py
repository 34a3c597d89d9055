"""The help says which setting an option stands for, and where the settings of a verb come from."""

from collections.abc import Iterator
from typing import Any

import pytest

from m10actors.cli.main import SETTINGS, VERBS, load
from m10actors.config.keys import keys

ROLES = {
    "candidates": "database.url",
    "review": "database.url",
    "explain": "database.url",
    "rules explain": "database.url",
    "ingest": "database.url",
    "migrate": "database.migrate_url",
}


def commands() -> Iterator[tuple[str, Any]]:
    """Every verb, and every verb below one, by its words."""
    for verb in VERBS:
        command = load(verb)
        yield verb.name, command
        yield from ((f"{verb.name} {name}", below) for name, below in getattr(command, "commands", {}).items())


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_a_sentence_and_so_has_every_option(words: str) -> None:
    command = COMMANDS[words]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.hidden, parameter.name


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_that_reads_a_configuration_says_where_settings_come_from(words: str) -> None:
    command = COMMANDS[words]
    reads = any("--config" in parameter.opts for parameter in command.params)
    assert (command.epilog == SETTINGS) == reads


@pytest.mark.parametrize("words", COMMANDS)
def test_an_option_for_a_database_names_key_and_environment(words: str) -> None:
    key = keys()[ROLES.get(words) or ROLES.get(words.partition(" ")[0], "database.ops_url")]
    assert key.env is not None
    for parameter in COMMANDS[words].params:
        if "--database" in parameter.opts:
            assert f"({key.path}, environment {key.env.name}" in parameter.help
