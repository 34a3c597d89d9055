"""Which messages are the same failure, and which keys the lines of a file have."""

from enum import Enum
from hashlib import sha256
from uuid import NAMESPACE_DNS, UUID, uuid5

from m10actors.recovery.file_keys import FileKeys
from m10actors.recovery.fingerprint import NAMESPACE, fingerprint, identity, match_id, signature


def test_the_code_is_not_masked() -> None:
    assert fingerprint("HTTP_502", "bad gateway") != fingerprint("HTTP_503", "bad gateway")


def test_the_fingerprint_never_changes_within_a_version() -> None:
    digest = fingerprint("TIMEOUT", "no answer from 10.0.0.7 after 30 s")
    assert digest == sha256(b"TIMEOUT\nno answer from # after #").hexdigest()
    assert uuid5(NAMESPACE_DNS, "m10actors") == NAMESPACE
    assert match_id("api", digest) == uuid5(NAMESPACE, f"v2|api|{digest}")


def test_what_equals_a_text_and_is_written_otherwise_is_not_taken_for_it() -> None:
    class Kind(str, Enum):  # noqa: UP042 (a StrEnum is written as the text)
        TIMEOUT = "TIMEOUT"

    fingerprint(Kind.TIMEOUT, "seen here first")
    assert fingerprint("TIMEOUT", "seen here first") == sha256(b"TIMEOUT\nseen here first").hexdigest()


def test_a_stack_trace_within_a_version_has_one_identity() -> None:
    stack = 'Traceback (most recent call last):\n  File "/srv/a.py", line 3, in run\n    go(1)\nValueError: bad 5\n'
    assert identity("job 7 failed", stack) == "ValueError: bad #\n  a.py run go(1)"


def test_the_signature_is_that_of_the_contract() -> None:
    message = "  No Answer " + "x" * 1_000
    normal = "no answer " + "x" * 490
    assert signature("TIMEOUT", message) == sha256(f"TIMEOUT:{normal}".encode()).hexdigest()[:16]


def keys(*lines: bytes, path: str = "/var/log/a.jsonl", run_id: str = "", chain: bytes = b"") -> list[UUID]:
    file = FileKeys("host-1", path, run_id=run_id, chain=chain)
    return [file.next_key(line) for line in lines]


def test_the_same_file_again_gives_the_same_keys() -> None:
    assert keys(b"one\n", b"two\n") == keys(b"one\n", b"two\n")


def test_equal_lines_of_a_file_have_different_keys() -> None:
    assert len(set(keys(b"same\n", b"same\n", b"same\n"))) == 3


def test_an_appended_file_has_new_keys_for_its_new_lines_only() -> None:
    assert keys(b"one", b"two", b"three")[:2] == keys(b"one", b"two")


def test_a_rewritten_file_has_new_keys_from_the_first_difference_on() -> None:
    old, new = keys(b"one", b"two", b"three"), keys(b"one", b"TWO", b"three")
    assert old[0] == new[0]
    assert not set(old[1:]) & set(new[1:])


def test_another_file_or_run_has_other_keys() -> None:
    assert len({keys(b"x")[0], keys(b"x", path="/other")[0], keys(b"x", run_id="2")[0]}) == 3


def test_following_goes_on_from_the_chain_that_was_kept() -> None:
    file = FileKeys("host-1", "/var/log/a.jsonl")
    file.next_key(b"one")
    assert keys(b"two", chain=file.chain) == keys(b"one", b"two")[1:]


def test_the_terminator_of_a_line_does_not_count() -> None:
    assert keys(b"one\n") == keys(b"one\r\n") == keys(b"one")


def test_a_path_that_is_no_utf8_has_keys_too() -> None:
    assert keys(b"x", path="/var/\udcff.log") != keys(b"x", path="/var/\udcfe.log")
