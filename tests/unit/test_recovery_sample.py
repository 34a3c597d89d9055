"""The shipped sample of real failures is fit to be ingested, and says nothing about the machine it was collected on."""

import re

from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import parse
from m10actors.shipped import shipped

LINES = (shipped("examples") / "failures" / "sample.jsonl").read_bytes().splitlines()
FAILURES = [parse(decode(line)) for line in LINES]


def test_it_has_hundreds_of_failures_that_fold_into_fewer_candidates() -> None:
    candidates = {(failure.failure_match_id, failure.error_signature) for failure in FAILURES}
    assert len(FAILURES) >= 300
    assert 50 <= len(candidates) <= len(FAILURES) / 3


def test_it_has_failures_of_every_kind() -> None:
    codes = {failure.error_code for failure in FAILURES}
    assert {"HTTP_429", "HTTP_503", "HTTP_401", "ConnectionRefusedError", "TimeoutError", "ENOSPC", "EMFILE"} <= codes
    assert {"KeyError", "RecursionError", "SSLCertVerificationError", "SIGKILL", "EXIT_127"} <= codes
    assert {"DivisionByZero", "UniqueViolation", "DeadlockDetected", "QueryCanceled", "OutOfMemoryError"} <= codes


def test_it_shows_no_path_of_the_machine() -> None:
    assert not re.search(rb"/(?:home|root|Users|tmp|work|mnt|opt)/", b"\n".join(LINES))
