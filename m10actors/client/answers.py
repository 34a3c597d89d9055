"""What the API answers to a batch, and what that means for the caller. No input or output."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from m10actors.client.errors import ClientError, NotPermitted, Refused, Unavailable, WrongAddress
from m10actors.client.results import Outcome, Problem, Rejected, Stored

PATH: Final = "/api/v1/recovery/ingest/batch"
_LATER: Final = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_PAUSE: Final = 60.0
"""Seconds; a Retry-After beyond it is not believed."""


def outcomes(server: str, status: int, headers: Mapping[str, str], body: bytes, expected: int) -> list[Outcome]:
    """An outcome for each of the `expected` failures of a batch, in order; ClientError where there are none."""
    answer = _document(body)
    if status != 200:
        raise _refusal(server, status, headers, answer)
    try:
        found = [_outcome(item) for item in answer["items"]]
    except (KeyError, TypeError, ValueError):
        found = []
    if len(found) != expected:
        raise WrongAddress(f"{server} is no API of m10: its answer has no outcome for each failure")
    return found


def _refusal(server: str, status: int, headers: Mapping[str, str], answer: Mapping[str, Any]) -> ClientError:
    said = answer.get("message", "without a reason")
    text = f"{server} answers {status}: {said}"
    if status in _LATER:
        return Unavailable(text, _seconds(headers.get("retry-after", "")))
    if status in {401, 403}:
        return NotPermitted(text)
    if status in {400, 413, 422} and "error" in answer:
        problems = tuple(map(_problem, answer.get("problems", ())))
        return Refused(text, problems or (Problem(str(answer["error"]), "", str(said)),))
    return WrongAddress(f"{text}; is this an API of m10?")


def _outcome(item: Mapping[str, Any]) -> Outcome:
    if item["status"] == "rejected":
        return Rejected(tuple(map(_problem, item["problems"])))
    return Stored(
        candidate_id=item["candidate_id"],
        status="duplicate" if item["is_duplicate"] else "accepted",
        failure_match_id=UUID(item["failure_match_id"]),
        occurrence_count=item["occurrence_count"],
        counted=item["counted"],
        message=item["message"],
    )


def _problem(item: Mapping[str, Any]) -> Problem:
    return Problem(str(item["code"]), str(item["field"]), str(item["message"]))


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _seconds(text: str) -> float:
    """Retry-After in seconds; the form with a date is left to the backoff."""
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0
