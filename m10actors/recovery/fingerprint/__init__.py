"""When two failures are the same one: fingerprint, signature, match id.

A new way to mask is a new FINGERPRINT_VERSION: it gives new match ids, so nothing that is stored changes its identity.
"""

import hashlib
from functools import lru_cache
from typing import Final
from uuid import UUID, uuid5

from m10actors.recovery.fingerprint.masking import masked
from m10actors.recovery.fingerprint.traces import trace_identity

__all__ = ["FINGERPRINT_VERSION", "NAMESPACE", "SIGNATURE_LENGTH", "fingerprint", "identity", "match_id", "signature"]

FINGERPRINT_VERSION: Final = "v2"
NAMESPACE: Final = UUID("d991c2da-5ad1-558c-a216-870d61a1e9a0")  # uuid5(NAMESPACE_DNS, "m10actors")
SIGNATURE_LENGTH: Final = 16

_SIGNED_CHARACTERS = 500
_MOST_REMEMBERED: Final = 1_000
"""Characters of the texts together."""

# What fails, fails again, often in the same words. Typed, because an Enum that equals a text may be written otherwise.
_remember: Final = lru_cache(maxsize=4096, typed=True)


def fingerprint(error_code: str, message: str, stack: str = "") -> str:
    """64 hexadecimal characters, the same for failures with the same code and the same identity.

    The code counts as it stands: HTTP_502 and HTTP_503 are two failures.
    """
    if len(error_code) + len(message) + len(stack) <= _MOST_REMEMBERED:
        return _remembered(error_code, message, stack)
    return _digest(error_code, message, stack)


def identity(message: str, stack: str = "") -> str:
    """What is left of a failure once everything that varies between its repeats is gone, for people to read.

    Of a stack trace, in the message or beside it: the exceptions and frames of `trace_identity`. Of any other message:
    itself, `masked`.
    """
    told = trace_identity(f"{message}\n{stack}") if stack or "\n" in message else None
    return masked(message) if told is None else told


def signature(error_type: str, message: str) -> str:
    """The signature where the caller has a match id of its own (contracts, section 5)."""
    return hashlib.sha256(f"{error_type}:{message.strip().lower()[:_SIGNED_CHARACTERS]}".encode()).hexdigest()[
        :SIGNATURE_LENGTH
    ]


@_remember
def match_id(source: str, fingerprint: str) -> UUID:
    """The match id where the caller has none: the same source and fingerprint fold into one candidate."""
    return uuid5(NAMESPACE, f"{FINGERPRINT_VERSION}|{source}|{fingerprint}")


def _digest(error_code: str, message: str, stack: str) -> str:
    return hashlib.sha256(f"{error_code}\n{identity(message, stack)}".encode()).hexdigest()


_remembered: Final = _remember(_digest)
