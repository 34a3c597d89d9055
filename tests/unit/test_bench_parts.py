"""Whose time a plan tells: a CTE is run by the scan that reads it first, so the time of that has the CTE's in it."""

from bench.parts import parts

LOG = """\
2026-01-05 00:00:00 UTC [1] LOG:  duration: 9.000 ms  plan:
\t{
\t  "Plan": {
\t    "Node Type": "Aggregate", "Actual Total Time": 9.0, "Actual Loops": 1,
\t    "Plans": [
\t      {"Node Type": "Sort", "Subplan Name": "CTE given", "Actual Total Time": 1.0, "Actual Loops": 1},
\t      {"Node Type": "ModifyTable", "Subplan Name": "CTE written", "Actual Total Time": 7.0, "Actual Loops": 1,
\t       "Plans": [{"Node Type": "Nested Loop", "Actual Total Time": 3.0, "Actual Loops": 1,
\t                  "Plans": [{"Node Type": "CTE Scan", "CTE Name": "given", "Actual Total Time": 0.5,
\t                             "Actual Loops": 3}]}]},
\t      {"Node Type": "CTE Scan", "CTE Name": "written", "Actual Total Time": 7.5, "Actual Loops": 1}
\t    ]
\t  },
\t  "Triggers": [{"Trigger Name": "RI_1", "Constraint Name": "a_fkey", "Time": 0.25}]
\t}
2026-01-05 00:00:00 UTC [1] CONTEXT:  SQL statement "WITH given AS (…)"
\tPL/pgSQL function m10_recovery.apply(bigint[]) line 3 at SQL statement
2026-01-05 00:00:00 UTC [1] STATEMENT:  SELECT m10_recovery.apply($1)
2026-01-05 00:00:01 UTC [1] LOG:  duration: 10.000 ms  plan:
\t{"Plan": {"Node Type": "Function Scan", "Actual Total Time": 10.0, "Actual Loops": 1}}
2026-01-05 00:00:02 UTC [1] LOG:  checkpoint starting: time
"""


def test_each_part_is_its_own_time() -> None:
    assert parts(LOG) == {
        ("apply", "the rest"): 2.0,
        ("apply", "given"): 1.0,
        ("apply", "written"): 6.0,
        ("apply", "a_fkey"): 0.25,
        ("from the client", "the rest"): 10.0,
    }
