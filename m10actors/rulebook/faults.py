"""What pydantic found wrong with a table, in words: the key, what was expected, what came."""

import difflib
from collections.abc import Sequence

from pydantic_core import ErrorDetails

from m10actors.config.kinds import Section
from m10actors.config.sources import shown
from m10actors.rulebook.pattern import InvalidPattern
from m10actors.rulebook.tables import known_keys


def expected_and_got(detail: ErrorDetails, table: type[Section]) -> tuple[str, str]:
    """What one error of `table`, the table in which the faulty key stands, comes to."""
    known = known_keys(table)
    key = next(part for part in reversed(detail["loc"]) if isinstance(part, str)) if detail["loc"] else ""
    match detail["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
            return f"a known key ({hint})", "an unknown key"
        case "missing":
            return known[key], "nothing"
        case "value_error" if isinstance(cause := detail["ctx"]["error"], InvalidPattern):
            return known[key], str(cause)
        case "value_error":
            return str(detail["ctx"]["error"]), shown(detail["input"])
        case _:
            return known.get(key, "a table"), shown(detail["input"])


def written(loc: Sequence[int | str]) -> str:
    """`when.all[2].code`; the number of an item of a plain list is left out."""
    whole = loc[:-1] if len(loc) > 1 and isinstance(loc[-1], int) and loc[-2] not in ("all", "any") else loc
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in whole).removeprefix(".")
