"""`m10 rules backtest`: what other rules would have made of what was recorded."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from m10actors.cli import output
from m10actors.cli.database import OpsDatabaseOption, located, opened
from m10actors.cli.errors import ExitCode
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.listing import SinceOption, UntilOption, since
from m10actors.cli.options import DataDirOption, RulesOption
from m10actors.postgres import history
from m10actors.recovery.backtesting import Backtest, Example
from m10actors.rulebook import configured, load

MostOption = Annotated[int | None, typer.Option("--limit", min=1, help="The newest so many; by default all.")]


def backtest(
    since_moment: SinceOption = None,
    until: UntilOption = None,
    rules: RulesOption = None,
    limit: MostOption = None,
    database: OpsDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decides what was recorded again, by other rules or by these: what would be otherwise, and which rules never match
    or never decide. Without --since the last 7 days. Writes nothing. Exit code 1 if what these very rules decided does
    not come out the same.
    """
    loaded = located("ops", database, data_dir, config_file)
    tried = Backtest(load(rules) if rules is not None else configured(loaded.settings.decisions))
    begin, end = since_moment or since("7d"), until or datetime.now(UTC)
    with opened(loaded, "ops") as store:
        for candidate_id, record in history.newest(store, begin, end, limit):
            tried.add(candidate_id, record)
    if as_json:
        output.document({"since": begin, "until": end, **_document(tried)})
    else:
        _say(tried, begin, end)
    if tried.wrong_count:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _document(tried: Backtest) -> dict[str, object]:
    return {
        "rules_version": tried.rules.version,
        "decisions": tried.decisions,
        "by_these_rules": tried.same_rules,
        "not_reproduced": tried.wrong_count,
        "by_other_evaluators": tried.by_others,
        "not_read": tried.unread,
        "unknown_rates": tried.unknown_rates,
        "changed_confidence": tried.changed_confidence,
        "actions": [{"before": b, "after": a, "decisions": n} for (b, a), n in tried.actions.most_common()],
        "by_itself": [{"before": b, "after": a, "decisions": n} for (b, a), n in tried.by_itself.most_common()],
        "examples": [asdict(each) for kind in tried.examples.values() for each in kind],
        "wrong": [asdict(each) for each in tried.wrong],
        "rules": {name: asdict(use) | {"outscored": use.outscored} for name, use in tried.use.items()},
        "never_matched": tried.never_matched,
        "never_decided": tried.never_decided,
    }


def _say(tried: Backtest, begin: datetime, end: datetime) -> None:
    output.heading(f"{tried.decisions:,} decisions, made again by rules of version {tried.rules.version}")
    output.text("What was read", _read(tried, begin, end))
    changed = [(*kind, n) for kind, n in tried.actions.most_common() if kind[0] != kind[1]]
    output.section("other actions", ("before", "after", "decisions"), changed)
    acted = [(*kind, n) for kind, n in tried.by_itself.most_common() if kind[0] != kind[1]]
    output.section("by itself", ("before", "after", "decisions"), acted)
    _examples("examples", [each for kind in tried.examples.values() for each in kind])
    used = [(name, use.matched, use.decided, use.outscored, use.shadowed) for name, use in tried.use.items()]
    output.section("rules", ("rule", "matched", "decided", "outscored", "shadowed"), used)
    output.text("Of the rules", _of_rules(tried))
    _examples("not reproduced", tried.wrong)


def _read(tried: Backtest, begin: datetime, end: datetime) -> Iterator[str]:
    yield f"from {begin.astimezone(UTC):%Y-%m-%d %H:%M} to {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC, the newest first"
    yield f"{tried.same_rules:,} were made by these very rules"
    for evaluator, count in tried.by_others.most_common():
        yield f"{count:,} were made by the evaluator {evaluator}: what it proposed then was taken"
    for kind, count in tried.unread.most_common():
        yield f"{count:,} left out: {kind}"
    if tried.wrong_count:
        yield f"{tried.wrong_count:,} should come out the same and do not: see not reproduced"
    if tried.unknown_rates:
        yield f"{tried.unknown_rates:,} lack a rate that these rules ask for, which nobody counted then: taken as 0"
    same = sum(count for (before, after), count in tried.actions.items() if before == after)
    yield f"{same:,} have the same action, {tried.changed_confidence:,} another confidence"


def _of_rules(tried: Backtest) -> Iterator[str]:
    if not tried.decisions:
        yield "nothing was decided, so nothing is known of them"
        return
    yield f"never matched: {', '.join(tried.never_matched) or 'none'}"
    yield f"matched, but always outscored or shadowed: {', '.join(tried.never_decided) or 'none'}"


def _examples(title: str, found: list[Example]) -> None:
    rows = [(each.candidate_id, each.generation, each.error_code, each.before, each.after) for each in found]
    output.section(title, ("candidate", "generation", "code", "before", "after"), rows)
