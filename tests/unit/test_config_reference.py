"""The reference page and the shipped file say what the model says."""

import re
from pathlib import Path

from m10actors.config import load
from m10actors.config.keys import Default, keys
from m10actors.config.load import value_at
from m10actors.config.reference import reference
from m10actors.shipped import shipped

SHIPPED = shipped("config/m10.toml")
ROOT = Path(__file__).parents[2]
SET_BY_THE_FILE = {"outbox.lock_ttl", "outbox.renew_every"}
NAMES = {
    "destinations.*": "destinations.example",
    "actions.*": "actions.retry_exponential",
    "evaluators.*": "evaluators.model",
}


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), (
        "m10 config reference > docs/configuration.md"
    )


def test_the_shipped_file_loads_as_it_is_and_sets_only_the_lock() -> None:
    loaded = load(SHIPPED, {}, {})
    assert {key for key, origin in loaded.origins.items() if origin.startswith("file")} == SET_BY_THE_FILE
    assert loaded.notices == ()


def test_every_key_of_the_shipped_file_holds_its_default(tmp_path: Path) -> None:
    everything = tmp_path / "m10.toml"
    everything.write_text(re.sub(r"(?m)^#(?=\S)", "", SHIPPED.read_text()))
    loaded = load(everything, {}, {})
    for path, key in keys().items():
        table, _, name = path.rpartition(".")
        written = f"{NAMES.get(table, table)}.{name}"
        assert loaded.origins[written] == f"file {everything}", written
        if key.default not in (None, Default.REQUIRED) and path not in SET_BY_THE_FILE:
            assert value_at(loaded.settings, written) == key.default, written


def test_every_sentence_and_environment_name_stands_in_the_shipped_file() -> None:
    text = " ".join(re.sub(r"(?m)^# ", "", SHIPPED.read_text()).split())
    for key in keys().values():
        assert key.sentence.endswith("."), key.path
        assert " ".join(key.sentence.split()) in text, key.path
        assert key.env is None or f"({key.env.name})" in text, key.path
