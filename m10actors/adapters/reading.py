"""What the adapters have in common: the outcome of reading one report, and how it gets its identity and its key."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from uuid import uuid5

from m10actors.recovery.failure import MAX_CODE_LENGTH, Failure, parse
from m10actors.recovery.fingerprint import NAMESPACE, SIGNATURE_LENGTH
from m10actors.recovery.problems import InvalidFailure

CODE_NAMES: Final = ("error_code", "error_type")
"""Labels and tags that say the error code, where the reporting system knows a better one than its own word."""
_MOST_DETAILS: Final = 100
_LONGEST_NAME: Final = 100
_LONGEST_DETAIL: Final = 1000
_LONGEST_MESSAGE: Final = 16_384


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that is right and no failure."""

    reason: str


Reading: TypeAlias = Failure | Ignored | InvalidFailure
"""What became of one report."""


def failure_from(
    *,
    source: str,
    code: str,
    message: str,
    identity: str,
    incident: str | None,
    key: str,
    details: Mapping[str, object],
) -> Failure:
    """A failure of another system. InvalidFailure if it cannot be stored.

    `identity` is what tells its failures apart; where an `incident` is named, that alone does, whichever system names
    it. `key` is the idempotency key. What a repeat of the key says besides may differ (an annotation shows the value of
    the moment), so that the key itself stands for the payload.
    """
    same = f"{source}|{identity}" if incident is None else f"incident|{incident}"
    item = {
        "failure_match_id": str(uuid5(NAMESPACE, same)),
        "error_signature": _digest(same).hex()[:SIGNATURE_LENGTH],
        "source": source,
        "idempotency_key": _digest(f"{source}|{key}").hex(),
        "failure_payload": {
            "error_type": clean(code, MAX_CODE_LENGTH),
            "raw": clean(message, _LONGEST_MESSAGE),
            "meta": dict(details),
        },
    }
    return replace(parse(item), payload_hash=_digest(f"{same}|{key}"))


def texts(value: object) -> dict[str, str]:
    """The named values of an object as texts that can be stored: scalars only, long ones cut."""
    if not isinstance(value, dict):
        return {}
    scalars = {name: text for name, each in value.items() if (text := scalar(each)) is not None}
    return {clean(name, _LONGEST_NAME): text for name, text in list(scalars.items())[:_MOST_DETAILS]}


def scalar(value: object) -> str | None:
    """A text, number or bool as a text that can be stored; None for anything else."""
    match value:
        case str():
            return clean(value, _LONGEST_DETAIL)
        case int() | float():
            return clean(repr(value), _LONGEST_DETAIL)
        case _:
            return None


def clean(text: str, longest: int) -> str:
    """At most `longest` characters. NUL and lone surrogates, which PostgreSQL does not store, are replaced: the system
    that reports would not learn of a refusal, and the failure would be lost.
    """
    return text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
