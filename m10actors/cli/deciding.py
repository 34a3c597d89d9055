"""Giving verdicts from the terminal: written to the database, then told to the running instance of this machine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from m10actors.application.live import routes, terms
from m10actors.cli import operations
from m10actors.cli.database import located, opened
from m10actors.cli.errors import CommandError
from m10actors.cli.listing import operator
from m10actors.cli.reaching import reach
from m10actors.postgres import verdicts
from m10actors.postgres.pool import Database
from m10actors.postgres.verdicts import Choice, DecisionWord, Person, Terms, Verdict


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a person decides: as `by`, on what the configuration says of actions and approvals."""

    database: Database
    by: Person
    routes: Mapping[str, Mapping[str, object]]
    terms: Terms

    def decide(self, chosen: Sequence[Choice], decision: DecisionWord, note: str | None) -> list[Verdict]:
        """A verdict for each, all in one transaction."""
        return verdicts.decide(self.database, chosen, decision, self.by, note, self.routes, self.terms)


@contextmanager
def desk(database: str | None, data_dir: Path | None, config_file: Path | None) -> Iterator[Desk]:
    """The desk on the database that is meant."""
    loaded = located("app", database, data_dir, config_file)
    with opened(loaded, "app") as store:
        yield Desk(store, Person(operator()), routes(loaded.settings), terms(loaded.settings))


def tell(decided: Sequence[Verdict], database: str | None, data_dir: Path | None, config_file: Path | None) -> None:
    """Has the instance that runs here count the verdicts and deliver at once. Where none can be told, the event goes
    out at the leader's next poll all the same; a database that was named need not be the one of that instance.
    """
    written = [verdict for verdict in decided if verdicts.standing(verdict.outcome) == "decided"]
    if not written or database is not None:
        return
    counts = {word: sum(verdict.decision == word for verdict in written) for word in ("approved", "rejected")}
    events = [verdict.event_type for verdict in written if verdict.event_type is not None]
    try:
        address, secret = reach(None, data_dir, None, None, None, config_file)
        operations.ask(address, "/ops/verdicts", secret, {**counts, "events": events})
    except CommandError:
        return
