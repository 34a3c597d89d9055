"""Which dead letters are meant: the options that the verbs of `m10 dlq` share."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Annotated, Any, Literal

import typer

from m10actors.cli.errors import WrongUsage
from m10actors.cli.listing import SinceOption, UntilOption, note
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.replay.advice import Stage

StateWord = Literal["waiting", "replayed", "any"]

IdsArgument = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]…", min=1, max=2**63 - 1, help="Numbers in the list.")
]
StageOption = Annotated[
    Stage | None,
    typer.Option("--stage", help="Evaluations, deliveries of events, entries of the stream, or other programs'."),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="With this reason, or this before the colon of it.")
]
FingerprintOption = Annotated[
    str | None, typer.Option("--fingerprint", metavar="GROUP", help="Of this group of m10 dlq stats.")
]
TypeOption = Annotated[str | None, typer.Option("--event-type", metavar="TYPE", help="Events of this type.")]
DestinationOption = Annotated[
    str | None, typer.Option("--destination", metavar="NAME", help="Events to this destination.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Of a candidate that this source reported.")
]
CodeOption = Annotated[str | None, typer.Option("--code", metavar="CODE", help="Of a candidate with this error code.")]
StateOption = Annotated[StateWord, typer.Option("--state", help="Not replayed yet, replayed, or both.")]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why; it is kept with what is done.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, only what would be done is shown.")]


def conditions(
    stage: StageOption = None,
    reason: ReasonOption = None,
    fingerprint: FingerprintOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    event_type: TypeOption = None,
    destination: DestinationOption = None,
    source: SourceOption = None,
    code: CodeOption = None,
) -> LetterFilter:
    """What the options that every verb has say of the dead letters that are meant."""
    return LetterFilter(None, stage, reason, fingerprint, since, until, event_type, destination, source, code)


def with_conditions(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as Typer is to see it: the options of `conditions` in the place of its parameter `wanted`."""
    own, shared = signature(verb), signature(conditions).parameters

    @wraps(verb)
    def called(**given: Any) -> None:
        verb(wanted=conditions(**{name: given.pop(name) for name in shared}), **given)

    parameters = [
        option for each in own.parameters.values() for option in (shared.values() if each.name == "wanted" else (each,))
    ]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def chosen(wanted: LetterFilter, *, everything: bool) -> LetterFilter:
    """`wanted`, which must say something; WrongUsage unless `everything` says that all are meant."""
    conditions = wanted.as_json().keys() - {"state"}
    if not conditions and not everything:
        raise WrongUsage("say which: numbers, --fingerprint, --stage, --since …, or --all")
    if conditions and everything:
        raise WrongUsage("--all excludes every other choice")
    return wanted


def reason_given(why: str | None) -> str:
    """Why, which has to be said."""
    if not (text := note(why)) or not text.strip():
        raise WrongUsage("say why: --why TEXT; it is kept with what is done")
    return text
