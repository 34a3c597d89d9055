"""`m10 review`: what waits for a verdict, one candidate after another."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias, assert_never

import typer

from m10actors.cli import candidate_views, output
from m10actors.cli.candidates import ActionOption, CodeOption, SourceOption
from m10actors.cli.config import ConfigOption
from m10actors.cli.database import AppDatabaseOption
from m10actors.cli.deciding import Desk, desk, tell
from m10actors.cli.errors import WrongUsage
from m10actors.cli.keys import single_keys
from m10actors.cli.listing import LONGEST_NOTE
from m10actors.cli.options import DataDirOption
from m10actors.postgres import candidates
from m10actors.postgres.candidates import Candidate, CandidateFilter
from m10actors.postgres.verdicts import Choice, Verdict, said, standing

Answer: TypeAlias = Literal["approved", "rejected", "skip", "quit"]

_PAGE = 50
_ANSWERS: dict[bytes, Answer] = {
    b"a": "approved",
    b"r": "rejected",
    b"s": "skip",
    b"q": "quit",
    b"\x04": "quit",
    b"": "quit",
}
_QUESTION = "\na approve   r reject   s skip   q quit: "


def review(
    source: SourceOption = None,
    code: CodeOption = None,
    action: ActionOption = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first, not what waits longest.")] = False,
    database: AppDatabaseOption = None,
    data_dir: DataDirOption = None,
    config_file: ConfigOption = None,
) -> None:
    """Goes through what waits for a verdict: evidence, similar cases, the proposed action; your verdict and note.

    Each verdict is written as soon as it is given; q or Ctrl-C ends, and what was decided stays.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise WrongUsage("m10 review asks at a terminal: elsewhere, m10 candidates list --pending, approve and reject")
    wanted = CandidateFilter("pending", source=source, error_code=code, action=action, due=False)
    wanted = replace(wanted, order="newest" if newest else "oldest")
    with desk(database, data_dir, config_file) as at:
        session = Session(at, lambda verdict: tell([verdict], database, data_dir, config_file))
        try:
            session.go_through(wanted)
        except EOFError:  # the terminal has nothing more to say
            pass
        finally:
            output.note("")
            output.note(str(session))


@dataclass
class Session:
    """One person's way through the candidates. `told` hears of each verdict that was written."""

    at: Desk
    told: Callable[[Verdict], object]

    def __post_init__(self) -> None:
        self._done: Counter[str] = Counter()

    def __str__(self) -> str:
        return ", ".join(f"{self._done[word]} {word}" for word in ("approved", "rejected", "skipped", "refused"))

    def go_through(self, wanted: CandidateFilter) -> None:
        """Until nothing is left or the person has had enough."""
        for candidate_id in _waiting(self.at, wanted):
            answer: Answer | None = None
            while answer is None:
                answer = self._about(candidate_id)
            if answer == "quit":
                return
        output.note("nothing else waits for a verdict")

    def _about(self, candidate_id: int) -> Answer | None:
        """What became of this candidate; None: it is another than was shown, and has to be looked at again."""
        found = candidates.one(self.at.database, candidate_id)
        if found is None or found.decision != "pending" or found.closed_at is not None or found.due:
            output.note(f"candidate {candidate_id}: {_meanwhile(found)}")
            return "skip"
        sys.stdout.write("\n")
        candidate_views.case(found, candidates.similar(self.at.database, candidate_id))
        answer = _ask()
        match answer:
            case "approved" | "rejected":
                return answer if self._decide(found, answer, _note()) else None
            case "skip":
                self._done["skipped"] += 1
            case "quit":
                pass
            case _:
                assert_never(answer)
        return answer

    def _decide(self, found: Candidate, decision: Literal["approved", "rejected"], note: str | None) -> bool:
        """Whether the candidate is done with; False where it is open, but not as it was shown."""
        [verdict] = self.at.decide([Choice(found.id, found.evaluated_generation)], decision, note)
        output.note(f"candidate {found.id}: {said(verdict.outcome)}")
        if standing(verdict.outcome) != "refused":
            self._done[decision] += 1
            self.told(verdict)
            return True
        self._done["refused"] += 1
        if note is not None:
            output.note(f"your note was not kept: {note}")
        return verdict.outcome != "generation_differs"


def _waiting(at: Desk, wanted: CandidateFilter) -> Iterator[int]:
    """The ids of what waits, page by page, so that what comes meanwhile neither repeats nor moves anything."""
    while items := candidates.page(at.database, wanted, _PAGE).items:
        yield from (item.id for item in items)
        wanted = replace(wanted, after=items[-1].id)


def _meanwhile(found: Candidate | None) -> str:
    if found is None:
        return "it is not there any more"
    if found.due:
        return "it is being evaluated again"
    return f"it has its verdict meanwhile: {found.decision} by {found.decided_by or 'the engine'}"


def _ask() -> Answer:
    """The next key that is an answer."""
    with single_keys():  # before it asks: the terminal keeps an end of input to itself until then
        sys.stdout.write(_QUESTION)
        sys.stdout.flush()
        while (answer := _ANSWERS.get(os.read(sys.stdin.fileno(), 1).lower())) is None:
            pass
    sys.stdout.write(f"{answer}\n")
    return answer


def _note() -> str | None:
    """What the person says about it, on one line; what is longer than a note may be is asked for again."""
    while len(text := input("note (Enter for none): ").strip()) > LONGEST_NOTE:
        output.note(f"a note has at most {LONGEST_NOTE} characters, this one has {len(text)}")
    return text or None
