"""When two failures are the same one: fingerprint, signature, match id.

A new way to mask is a new FINGERPRINT_VERSION: it gives new match ids, so nothing that is stored changes its identity.
"""

import hashlib
import re
from uuid import UUID, uuid5

FINGERPRINT_VERSION = "v1"
NAMESPACE = UUID("d991c2da-5ad1-558c-a216-870d61a1e9a0")  # uuid5(NAMESPACE_DNS, "m10actors")
SIGNATURE_LENGTH = 16

_SIGNED_CHARACTERS = 500
_VARYING = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
    | (?<![^\W_]) 0x[0-9a-f]++             (?![^\W_])
    | (?<![^\W_]) (?=[a-f]*+\d)[0-9a-f]++  (?![^\W_])   # a hexadecimal word with a digit in it
    | (?<![^\W_]) [0-9a-f]{8,}+            (?![^\W_])   # one of letters only: from eight on it is no English word
    | \d++
    """,
    re.VERBOSE,
)


def fingerprint(error_code: str, message: str) -> str:
    """64 hexadecimal characters, the same for messages that differ only in numbers, hexadecimal, UUIDs and letter case.

    The code counts as it stands: HTTP_502 and HTTP_503 are two failures.
    """
    return hashlib.sha256(f"{error_code}\n{masked(message)}".encode()).hexdigest()


def masked(message: str) -> str:
    """`message` with what varies between repeats as `#`.

    One mask for all kinds: an id that happens to have only digits is hexadecimal all the same.
    """
    return _VARYING.sub("#", message.strip().lower())


def signature(error_type: str, message: str) -> str:
    """The signature where the caller has a match id of its own (contracts, section 5)."""
    return hashlib.sha256(f"{error_type}:{message.strip().lower()[:_SIGNED_CHARACTERS]}".encode()).hexdigest()[
        :SIGNATURE_LENGTH
    ]


def match_id(source: str, fingerprint: str) -> UUID:
    """The match id where the caller has none: the same source and fingerprint fold into one candidate."""
    return uuid5(NAMESPACE, f"{FINGERPRINT_VERSION}|{source}|{fingerprint}")
