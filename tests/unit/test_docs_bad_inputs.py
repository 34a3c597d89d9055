"""docs/bad-inputs.md says what the tests do: every row and way, and no test that does not exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "bad-inputs.md").read_text()
INTEGRATION = TESTS / "integration"
WAYS = {
    "HTTP": ["test_web_ingest.py"],
    "files": ["test_web_ingest.py", "test_bad_inputs_files.py"],
    "Redis": ["test_bad_inputs_redis.py"],
    "SQL": ["test_bad_inputs_sql.py"],
}


def table() -> dict[int, dict[str, str]]:
    """The cell of each way by the number of the input."""
    section = PAGE.partition("## The inputs")[2].partition("\n## ")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return {int(row[0]): dict(zip(head[2:], row[2:], strict=True)) for row in rows}


def inputs_of(way: str) -> set[str]:
    """The names of the inputs in the tests of a way."""
    return {name for file in WAYS[way] for name in re.findall(r'"(row-\d+-[^"]+)": ', (INTEGRATION / file).read_text())}


def test_every_input_has_a_line_with_a_cell_for_each_way() -> None:
    assert list(table()) == list(range(1, 43))
    for number, cells in table().items():
        assert cells.keys() == WAYS.keys() | {"Python client"}
        assert all(cells.values()), number


def test_every_test_that_is_named_exists() -> None:
    source = "\n".join(file.read_text() for file in TESTS.rglob("test_*.py"))
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= set(re.findall(r"def (test_\w+)\(", source))


@pytest.mark.parametrize("way", WAYS)
def test_the_inputs_of_a_way_are_those_of_its_tests(way: str) -> None:
    told = {name for cells in table().values() for name in re.findall(r"`(row-[^`]+)`", cells[way])}
    assert told == inputs_of(way) - ({"row-13-duplicate-keys"} if way == "files" else set())


def test_every_letter_is_explained() -> None:
    used = {
        letter for cells in table().values() for cell in cells.values() for letter in re.findall(r"\*\*(\w)\*\*", cell)
    }
    assert used == set(re.findall(r"(?m)^- \*\*(\w)\*\* ", PAGE))
