"""`m10 explain`: why a candidate was decided as it was. Also `m10 rules explain`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from m10actors.application.live import Rulings
from m10actors.cli import output
from m10actors.cli.database import AppDatabaseOption, located, opened
from m10actors.cli.errors import CommandError
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.listing import IdArgument
from m10actors.cli.options import DataDirOption
from m10actors.explanations import Account, account
from m10actors.postgres import candidates
from m10actors.postgres.candidates import Candidate
from m10actors.recovery.explaining import Explanation, document, told

NowOption = Annotated[
    bool, typer.Option("--now", help="Explain what would be decided now, instead of the last evaluation.")
]


def explain(
    candidate_id: IdArgument,
    now: NowOption = False,
    database: AppDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tells why a candidate was decided as it was: what failed, why this action and this confidence, why not by itself,
    and the smallest change that would have it decided otherwise. Says if it would be decided otherwise now.
    """
    loaded = located("app", database, data_dir, config_file)
    rules = Rulings.of(loaded.settings).rules
    with opened(loaded, "app") as store:
        candidate = candidates.one(store, candidate_id)
        found = account(store, rules.policy, candidate_id, rules.book.rules)
    if candidate is None or found is None:
        raise CommandError(f"there is no candidate {candidate_id}")
    if as_json:
        output.document(_document(candidate, found))
    else:
        _say(candidate, found, now=now)


def _document(candidate: Candidate, found: Account) -> dict[str, object]:
    return {
        "candidate_id": candidate.id,
        "decision": candidate.decision,
        "decided_by": candidate.decided_by,
        "execution_status": candidate.execution_status,
        "evaluated_at": found.decided_at,
        "missing": found.missing or None,
        "then": found.then and document(found.then),
        "now": document(found.now),
        "differs": found.differs,
        "since": found.since,
    }


def _say(candidate: Candidate, found: Account, *, now: bool) -> None:
    then = None if now else found.then
    explained = then or found.now
    output.heading(f"candidate {candidate.id}: {candidate.suggestion if then else explained.decision.suggestion}")
    if found.then is None:
        output.heading(f"{found.missing}; this is what would be decided now")
    for title, lines in told(explained):
        output.text(title, lines)
    if then is not None:
        output.text("Since then", _since(candidate, found))


def _since(candidate: Candidate, found: Account) -> Iterator[str]:
    if found.decided_at is not None:
        yield f"evaluated {output.age(datetime.now(UTC) - found.decided_at)} ago"
    by = f" by {candidate.decided_by}" if candidate.decided_by else ""
    execution = f", execution {candidate.execution_status}" if candidate.execution_status else ""
    yield f"it stands: {candidate.decision}{by}{execution}"
    if isinstance(candidate.explain, dict) and "follows" in candidate.explain:
        yield f"{candidate.action} follows, because what was tried before it failed"
    yield from found.since
    yield f"decided now, it would be {_now(found.now)}" if found.differs else "it would be decided the same now"


def _now(now: Explanation) -> str:
    decision = now.decision
    by_itself = "by itself" if now.executes else f"not by itself ({decision.reason})"
    return f"{decision.action or 'no action'} with {decision.confidence:g}, {by_itself}: --now explains it"
