"""Failures as callers give them → lines that can be sent again and again, and what to send when. No input or output.

The steps are generators: they yield what is to be sent and are given what came of it, so that the blocking and the
asynchronous client share them.
"""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from m10actors.client.errors import ClientError, Refused
from m10actors.client.results import Outcome, Problem, Rejected, Stored
from m10actors.recovery.decoding import MAX_BATCH_ITEMS, MAX_BODY_BYTES
from m10actors.recovery.failure import parse
from m10actors.recovery.problems import Code, InvalidFailure
from m10actors.recovery.problems import Problem as Found

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Half of what the API takes by default."""

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Lines: TypeAlias = Sequence[bytes]
Steps: TypeAlias = Generator[Lines, list[Outcome], list[Outcome]]


@dataclass(frozen=True, slots=True)
class Item:
    """A failure with its key, and the same as a line of JSON."""

    fields: Mapping[str, object]
    line: bytes


@dataclass(frozen=True, slots=True)
class Unfit:
    """What was given and is no failure."""

    fields: object
    outcome: Rejected


def given(failure: object, fields: Mapping[str, object]) -> Any:
    """The failure of a call: a mapping, names with values, or both, as `dict` takes them."""
    if failure is None:
        return fields
    return {**failure, **fields} if isinstance(failure, Mapping) else failure


def one(outcomes: Sequence[Outcome]) -> Stored:
    """The only outcome; Refused if it is that the failure was."""
    [outcome] = outcomes
    if isinstance(outcome, Rejected):
        raise Refused("refused", outcome.problems)
    return outcome


def rejected_for(problems: Iterable[Found]) -> Rejected:
    """The outcome of what is found to be no failure before it is sent."""
    return Rejected(tuple(Problem(p.code.value, p.field, p.message) for p in problems))


def line_of(fields: Mapping[str, object]) -> bytes:
    return _ENCODE(fields).encode() + b"\n"


def reporting(failures: Iterable[object], source: str) -> Steps:
    """What to send for `failures`, in batches; an outcome each, in order. A ClientError tells how far it came."""
    items = [_item(failure, source) for failure in failures]
    outcomes: list[Outcome] = []
    for batch in _batches(items):
        try:
            stored = iter((yield from storing([item.line for item in batch if isinstance(item, Item)])))
        except ClientError as error:
            error.outcomes = tuple(outcomes)
            error.unsent = tuple(item.fields for item in items[len(outcomes) :])
            raise
        outcomes += [next(stored) if isinstance(item, Item) else item.outcome for item in batch]
    return outcomes


def storing(lines: Lines) -> Steps:
    """What to send for `lines`. A batch refused as a whole is halved until only what is at fault is left out."""
    if not lines:
        return []
    try:
        return (yield lines)
    except Refused as refusal:
        if len(lines) == 1:
            return [Rejected(refusal.problems)]
    half = len(lines) // 2
    return (yield from storing(lines[:half])) + (yield from storing(lines[half:]))


def _item(failure: object, source: str) -> Item | Unfit:
    """The failure with an idempotency key, checked as the server checks it; `source` stands where it names none."""
    try:
        return _checked(failure, source)
    except InvalidFailure as invalid:
        return Unfit(failure, rejected_for(invalid.problems))


def _checked(failure: object, source: str) -> Item:
    if not isinstance(failure, Mapping):
        raise InvalidFailure(Found(Code.OBJECT_EXPECTED, "", "a failure is a mapping"))
    fields = {name: str(value) if isinstance(value, UUID) else value for name, value in failure.items()}
    if fields.get("idempotency_key") is None:
        fields["idempotency_key"] = str(uuid4())
    if fields.get("source") is None:
        fields["source"] = source
    text = _written(fields)
    parse(fields)
    line = text.encode() + b"\n"
    if len(line) > MAX_BODY_BYTES:
        raise InvalidFailure(Found(Code.TOO_LARGE, "", f"has {len(line)} bytes, at most {MAX_BODY_BYTES} are taken"))
    return Item(fields, line)


def _written(fields: Mapping[str, object]) -> str:
    """As JSON; as nothing where JSON has no form for it, which `parse` can name."""
    try:
        return _ENCODE(fields)
    except ValueError as error:
        if "Circular" in str(error):  # refused here, since to look into it might never end
            raise InvalidFailure(Found(Code.TOO_DEEP, "", "contains itself")) from None
        return ""
    except (TypeError, RecursionError):
        return ""


def _batches(items: Sequence[Item | Unfit]) -> Generator[list[Item | Unfit]]:
    batch: list[Item | Unfit] = []
    held = 0
    for item in items:
        size = len(item.line) if isinstance(item, Item) else 0
        if batch and (len(batch) == MAX_BATCH_ITEMS or held + size > MAX_BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += size
    if batch:
        yield batch
