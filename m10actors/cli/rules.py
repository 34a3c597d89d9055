"""`m10 rules`: the rules that decide, checked, tested and listed, which needs no server; explained, and tried on what
was recorded.
"""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.backtest import backtest
from m10actors.cli.config import load as load_config
from m10actors.cli.errors import ExitCode
from m10actors.cli.explain import explain
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.options import RulesOption
from m10actors.cli.output import Gist
from m10actors.config import ConfigError
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.rules import Ruleset
from m10actors.rulebook import configured, load, proposed
from m10actors.rulebook.cases import NONE, outcomes, read_cases

app = typer.Typer(no_args_is_help=True, help="Check, test, list and try the rules that decide.")

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="The rules; by default those of the configuration.")
]
CasesArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The cases: TOML, or JSON lines in a .jsonl file.")]


@app.command()
def check(file: FileArgument = None, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Checks a file of rules as a whole: ok, or all that is wrong with it (exit code 2)."""
    try:
        rules = _rules(file, config_file)
    except ConfigError as error:
        if as_json:
            output.document({"ok": False, "problems": [asdict(each) for each in error.problems], "notices": []})
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE) from None
    notices = [
        f"{action} is none of the seeded actions: it has to be an active row of suggestion_action"
        for action in sorted(proposed(rules) - SEEDED_ACTIONS.keys())
    ]
    if as_json:
        output.document({"ok": True, "problems": [], "notices": notices, **_summary(rules)})
        return
    for notice in notices:
        output.note(f"notice: {notice}")
    summary = _summary(rules)
    print(f"ok: {summary['rules']} rules, {summary['active']} of them active, version {summary['version']}")


@app.command("test")
def decide_cases(
    cases: CasesArgument, rules: RulesOption = None, config_file: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Decides cases and tells of those that come out otherwise than they should (exit code 1)."""
    ruleset = _rules(rules, config_file)
    found = list(outcomes(ruleset, read_cases(cases)))
    wrong = [outcome for outcome in found if outcome.wrong]
    if as_json:
        output.document(
            {
                "cases": len(found),
                "version": ruleset.version,
                "wrong": [
                    {
                        "case": each.place,
                        "code": each.case.code,
                        "action": each.decision.action or NONE,
                        "confidence": each.decision.confidence,
                        "wrong": each.wrong,
                    }
                    for each in wrong
                ],
            }
        )
    else:
        for each in wrong:
            output.heading(f"{each.place}, {each.case.code}: {'; '.join(each.wrong)}")
        print(f"{len(found)} cases, {len(wrong)} wrong")
    if wrong:
        raise typer.Exit(ExitCode.FOUND_WRONG)


@app.command("list")
def list_rules(file: FileArgument = None, config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Lists the rules in their order: what each proposes, how strongly, and when."""
    rules = _rules(file, config_file)
    rows = [
        {
            "rule": rule.name,
            "tier": rule.tier,
            "action": rule.action,
            "score": rule.score,
            "adjustment": rule.adjustment,
            "priority": rule.priority,
            "active": rule.is_active,
            "when": str(rule.when),
        }
        for rule in rules.rules
    ]
    if as_json:
        output.document({**_summary(rules), "list": rows})
        return
    columns = ("rule", "tier", "action", "score", "active", "when")
    output.table(columns, [[_cell(name, row[name]) for name in columns] for row in rows])


app.command("explain")(explain)
app.command("backtest")(backtest)


def _rules(file: Path | None, config_file: Path | None) -> Ruleset:
    return load(file) if file is not None else configured(load_config(config_file).settings.decisions)


def _summary(rules: Ruleset) -> dict[str, object]:
    tiers = Counter(str(rule.tier) for rule in rules.rules if rule.is_active)
    return {"rules": len(rules.rules), "active": tiers.total(), "tiers": dict(tiers), "version": rules.version}


def _cell(name: str, value: object) -> object:
    match name:
        case "score":
            return f"{value:.2f}"
        case "when":
            return Gist(str(value))
        case _:
            return value
