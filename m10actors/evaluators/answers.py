"""What came back from an evaluator, judged item by item. Pure but for the call itself."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from m10actors.evaluators.protocol import NO_DETAILS, Answer, Evaluator, Later, Proposal
from m10actors.recovery.facts import Facts

MOST_BECAUSE = 1000
MOST_DETAILS = 16_384
LONGEST_DELAY = timedelta(days=7)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""In JSON: an escape that is not itself escaped."""


class InvalidAnswer(ValueError):
    """An answer that cannot be used; says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of one call, by candidate; who is in neither was abstained from. `strangers`: answers for none of the batch."""

    given: Mapping[int, Answer] = field(default_factory=dict)
    invalid: Mapping[int, InvalidAnswer] = field(default_factory=dict)
    strangers: int = 0


def ask(evaluator: Evaluator, batch: Sequence[Facts], *, may_wait: bool) -> Answers:
    """Calls it once. Whatever it raises is raised; an answer that is no good costs its own candidate only."""
    answers: object = evaluator.evaluate(batch)
    if not isinstance(answers, Iterable) or isinstance(answers, str | bytes | Mapping):
        raise InvalidAnswer(f"expected Proposals, one for each candidate that it has one for, got {_shown(answers)}")
    given: dict[int, Answer] = {}
    invalid: dict[int, InvalidAnswer] = {}
    strangers = 0
    asked = {facts.candidate.id for facts in batch}
    for answer in answers:
        candidate_id = _about(answer)
        if candidate_id not in asked:
            strangers += 1
        elif candidate_id in given or candidate_id in invalid:
            given.pop(candidate_id, None)
            invalid[candidate_id] = InvalidAnswer("expected one answer, got several")
        else:
            try:
                given[candidate_id] = _checked(answer, may_wait)
            except InvalidAnswer as error:
                invalid[candidate_id] = error
    return Answers(given, invalid, strangers)


def _about(answer: object) -> int:
    match answer:
        case Proposal(candidate_id=int(candidate_id)) | Later(candidate_id=int(candidate_id)):
            return candidate_id
        case _:
            raise InvalidAnswer(f"expected a Proposal that names its candidate, got {_shown(answer)}")


def _checked(answer: object, may_wait: bool) -> Answer:
    match answer:
        case Later(_, timedelta() as delay) if may_wait and timedelta(0) <= delay <= LONGEST_DELAY:
            return answer
        case Later(_, delay) if may_wait:
            raise InvalidAnswer(f"delay: expected a timedelta of 0 to {LONGEST_DELAY.days} days, got {_shown(delay)}")
        case Later():
            raise InvalidAnswer("expected a Proposal: only a leased evaluator may answer later")
        case Proposal(_, action, confidence, because, details):
            return _proposal(answer, action, confidence, because, details)
        case _:
            raise InvalidAnswer(f"expected a Proposal, got {_shown(answer)}")


def _proposal(answer: Proposal, action: object, confidence: object, because: object, details: object) -> Proposal:
    """Its own copy, so that nobody changes it afterwards."""
    if not isinstance(action, str) or not 0 < len(action) <= 100 or not action.isprintable():
        raise InvalidAnswer(f"action: expected the code of an action, got {_shown(action)}")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise InvalidAnswer(f"confidence: expected a number from 0 to 1, got {_shown(confidence)}")
    if not isinstance(because, str) or len(because) > MOST_BECAUSE or not _is_storable(because):
        raise InvalidAnswer(f"because: expected a text of at most {MOST_BECAUSE} characters, got {_shown(because)}")
    return Proposal(answer.candidate_id, action, float(confidence), because, _details(details))


def _details(details: object) -> Mapping[str, object]:
    if not isinstance(details, dict | MappingProxyType | Mapping):  # asking about an abstract class is slow
        raise InvalidAnswer(f"details: expected a JSON object, got {_shown(details)}")
    if not details:
        return NO_DETAILS
    try:
        text = json.dumps(dict(details), allow_nan=False, ensure_ascii=False)
        copied: dict[str, object] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidAnswer(f"details: expected a JSON object, got {type(error).__name__}: {error}") from error
    if len(text) > MOST_DETAILS:
        raise InvalidAnswer(f"details: expected at most {MOST_DETAILS} bytes of JSON, got {len(text)}")
    if _NUL.search(text) or not _is_storable(text):
        raise InvalidAnswer("details: expected texts of Unicode without NUL")
    return copied


def _is_storable(text: str) -> bool:
    """PostgreSQL takes neither NUL nor half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _shown(value: object) -> str:
    """Numbers and texts as they are, as far as they fit on a line; else the kind of thing it is."""
    match value:
        case None | bool() | float() | timedelta():
            return str(value)
        case int() if abs(value) < 1_000_000:
            return str(value)
        case str():
            return repr(value[:60])
        case _:
            return type(value).__name__
