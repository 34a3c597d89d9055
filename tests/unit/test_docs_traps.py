"""The table of traps is whole, and the tests that it names exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = dict(re.findall(r"(?m)^\| (T\d+) \|(.+)\|$", (ROOT / "docs" / "traps.md").read_text()))


def test_every_trap_has_one_row_in_the_order_of_its_number() -> None:
    assert list(ROWS) == [f"T{number}" for number in range(1, 45)]


def test_every_row_says_what_is_seen_what_is_done_and_which_tests_show_it() -> None:
    for trap, row in ROWS.items():
        seen, done, tests = (cell.strip() for cell in row.split(" | "))
        assert seen, trap
        assert done, trap
        assert re.fullmatch(r"`test_\w+`(, `test_\w+`)*", tests), trap


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", " ".join(ROWS.values())))
    defined = {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert named <= defined, named - defined
