"""`python -m bench.parts`: where PostgreSQL's time goes in a batch of 500 of W2 and of W5, by the engine and by hand.

PostgreSQL says it (auto_explain, with nested statements), and what that costs is in it, most of all in foreign keys,
whose checks are statements: parts can be compared with each other, not with a rate. A part is a CTE without those that
it reads, a trigger (a foreign key, by its name), or the rest of its statement. What a function does for a part is in
the part, and stands once more below the function, if a statement of it took 1 ms.
"""

import argparse
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.effects import deciding
from bench.evaluators import Trivial, asked
from bench.hand import Effect
from bench.stage import DATABASE, Stage
from bench.statements import SAME_ROWS, WITH_PROVENANCE
from bench.words import by_words, trivial
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.postgres.pool import Database

BATCH = 500
SHORTEST = 0.1
"""ms; what takes less is in no line."""
SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "1ms",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_triggers": "on",
    "auto_explain.log_parameter_max_length": "0",
    "auto_explain.log_format": "json",
}
ENTRY = re.compile(r"LOG:  duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)(?:.* CONTEXT:  (.*\n(?:\t.*\n)*))?")
FUNCTION = re.compile(r"function (?:m10_recovery\.)?(\w+)\(")
CLIENT = "from the client"
Plan = Mapping[str, Any]
Parts = Mapping[tuple[str, str], float]
"""ms by whose statement it is (a function, or CLIENT) and part."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.parts", description=__doc__)
    parser.add_argument("--batches", type=int, default=12, help="of each; the mean is told (default 12)")
    batches = parser.parse_args().batches
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
        for name, value in SETTINGS.items():
            stage.sql(f"ALTER DATABASE {DATABASE} SET {name} = '{value}'")
        for side, settings in (("W2", asked(Trivial)), ("W5", {})):
            with stage.configured(settings), Database(stage.postgres_url("m10_app"), name="app", size=1) as database:
                tell(side, of_a_batch(stage, batches, evaluating(database, stage.parts.live.rules())))
        for side, decide, statement in (("W2 by hand", trivial, SAME_ROWS), ("W5 by hand", by_words, WITH_PROVENANCE)):
            with stage.connect() as connection:
                tell(side, of_a_batch(stage, batches, deciding(decide, statement)(connection)))


def evaluating(database: Database, rules: Rules) -> Effect:
    """As a worker of the engine does it."""
    evaluation = Evaluation(database, "bench", lambda: rules)
    return lambda ids: evaluation.evaluate([Work(each, 1) for each in ids], "bench")


def of_a_batch(stage: Stage, batches: int, effect: Effect) -> Parts:
    """The mean of so many, after a first one that makes the plans."""
    effect(stage.due(BATCH))
    due = stage.due(BATCH * batches)
    log = stage.folder / "postgres.log"
    before = log.stat().st_size
    for first in range(0, len(due), BATCH):
        effect(due[first : first + BATCH])
    taken = parts(log.read_bytes()[before:].decode())
    stage.forget(events=BATCH * (batches + 1))
    return {part: ms / batches for part, ms in taken.items()}


def parts(log: str) -> Parts:
    """Of all statements whose plans a log of PostgreSQL has."""
    taken: dict[tuple[str, str], float] = defaultdict(float)
    for plan, context in ENTRY.findall(log):
        function = FUNCTION.search(context)
        for part, ms in of_a_plan(json.loads(plan)):
            taken[function.group(1) if function else CLIENT, part] += ms
    return taken


def of_a_plan(explained: Plan) -> Iterator[tuple[str, float]]:
    """Parts and their ms. A CTE is run by the scan that reads it first, so the time of that has the CTE's in it; one
    that writes and is not read runs at the end, by itself.
    """
    plan = explained["Plan"]
    ctes = {cte(node): took(node) for node in below(plan) if cte(node)}
    runs: dict[str, tuple[float, str]] = {}  # by CTE: the longest scan of it, and whose that is
    for root in (plan, *(node for node in below(plan) if cte(node))):
        for scan in (node for node in below(root, cte) if node["Node Type"] == "CTE Scan"):
            runs[scan["CTE Name"]] = max(runs.get(scan["CTE Name"], (0.0, "")), (took(scan), cte(root)))
    for name, ms in {"": took(plan), **ctes}.items():
        yield name or "the rest", ms - sum(ctes[run] for run, (_, whose) in runs.items() if whose == name)
    for trigger in explained.get("Triggers", ()):
        yield trigger.get("Constraint Name", trigger["Trigger Name"]), trigger["Time"]


def below(node: Plan, is_end: Callable[[Plan], object] = lambda _: False) -> Iterator[Plan]:
    for child in node.get("Plans", ()):
        if not is_end(child):
            yield child
            yield from below(child, is_end)


def cte(node: Plan) -> str:
    """Which CTE it makes; empty if none."""
    name = str(node.get("Subplan Name", ""))
    return name.removeprefix("CTE ") if name.startswith("CTE ") else ""


def took(node: Plan) -> float:
    return float(node["Actual Total Time"] * node["Actual Loops"])


def tell(side: str, taken: Parts) -> None:
    print(f"\n{side}: ms of a batch of {BATCH}")
    for function in dict.fromkeys(function for function, _ in taken):
        of_it = {part: ms for (name, part), ms in taken.items() if name == function}
        print(f"  {function:<44}{sum(of_it.values()):>8.2f}")
        for part, ms in sorted(of_it.items(), key=lambda each: -each[1]):
            if ms >= SHORTEST:
                print(f"    {part:<42}{ms:>8.2f}")


if __name__ == "__main__":
    main()
