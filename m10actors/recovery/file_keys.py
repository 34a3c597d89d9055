"""Idempotency keys for the lines of a file, so that reading it again counts nothing twice."""

import hashlib
import os
from uuid import UUID, uuid5

from m10actors.recovery.fingerprint import NAMESPACE


class FileKeys:
    """The keys of one file's lines, in order: UUIDv5 of host, real path and a chain of hashes over all lines so far.

    The same file again gives the same keys; an appended one new keys for its new lines; a rewritten one new keys from
    the first difference on. Keep `chain` with the position in the file to go on from there; begin with an empty chain
    at rotation and truncation. Another `run_id` makes all keys new.
    """

    def __init__(self, host: str, real_path: str, *, run_id: str = "", chain: bytes = b"") -> None:
        identity = b"\x00".join((host.encode(), os.fsencode(real_path), run_id.encode()))
        self._namespace = uuid5(NAMESPACE, f"file:{hashlib.sha256(identity).hexdigest()}")
        self.chain = chain

    def next_key(self, line: bytes) -> UUID:
        """The key of the next line; its terminator does not count."""
        self.chain = hashlib.sha256(self.chain + line.rstrip(b"\r\n")).digest()
        return uuid5(self._namespace, self.chain.hex())
