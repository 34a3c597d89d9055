"""What a stack trace says of a failure: its exceptions, each with the innermost frames of the program.

Two bugs in one function are told apart by the exception's class, by its masked message and, where the trace prints
them, by the lines of code; where it does not, by the function of the language or a library that was called from there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from m10actors.recovery.fingerprint.frames import Frame, frame
from m10actors.recovery.fingerprint.masking import masked

_FRAMES_KEPT: Final = 3
_LEADS: Final = (
    r"(?:Exception in thread \"[^\"]*+\" |Caused by: |Suppressed: |Uncaught |Unhandled [Ee]xception[.:] |-+> ?"
    r"|\[cause\]: |PHP [\w ]++: ++)"
)
_CLASS: Final = r"(?:[A-Za-z_]\w*+(?:[.$\\]|::))*+[A-Za-z_]\w*+"
_HEADER: Final = re.compile(
    rf"\s*+(?:{_LEADS}++(?P<led>{_CLASS})"
    rf"|(?P<kind>{_CLASS}(?:(?<=Exception)|(?<=Error)|(?<=Throwable))|panic|fatal error))"
    r"(?: \[[\w-]++\])?(?::\s(?P<text>.*+)|:?\s*+\Z)"
)
_PYTHON_END: Final = re.compile(rf"(?P<kind>{_CLASS})(?::\s(?P<text>.*+)|:?\s*+\Z)")
_RUBY_HEAD: Final = re.compile(r"\S+:\d+:in ['`][^']*': (?P<text>.*) \((?P<kind>[\w:]+)\)\Z")
_RUST_HEAD: Final = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at (?:'(?P<text>.*)', )?\S+:\d+:\d+:?\Z")
_GROUP: Final = re.compile(r"\s*[|+](?:-[-+]+(?: \d+ -+)?| )?")
_SUGGESTION: Final = re.compile(r"\.? Did you mean\b.*")


@dataclass(slots=True)
class _Raised:
    """An exception while its lines are read; frames as printed."""

    kind: str = ""
    text: str = ""
    frames: list[Frame] = field(default_factory=list)
    in_python: bool = False


def trace_identity(text: str) -> str | None:
    """What identifies the failure of a stack trace anywhere in `text`; None if there is none."""
    told = [_identity(raised) for raised in _exceptions(text) if raised.frames]
    return "\n".join(dict.fromkeys(told)) if told else None


def _exceptions(text: str) -> Iterator[_Raised]:
    """Every exception of a chain or a group, in the order in which they are printed.

    Of Python the frames come before the line that names the exception, of all others after it.
    """
    current, before = _Raised(), ""
    for printed in text.splitlines():
        line = _GROUP.sub("", printed, count=1) if printed.lstrip()[:1] in {"|", "+"} else printed
        if line.startswith("goroutine ") and current.frames:
            break
        found = frame(line, before)
        if current.in_python and not found:
            if end := _PYTHON_END.match(line):
                current.kind, current.text = end["kind"], end["text"] or ""
                yield current
                current = _Raised()
            elif before.lstrip().startswith('File "') and line.startswith("    "):
                current.frames[-1] = replace(current.frames[-1], code=" ".join(line.split()))
        elif head := _head(line, is_frame=found is not None):
            yield current
            current = head
        elif not found and line.strip() and not current.frames and not (current.kind and current.text):
            current.text = line.strip()
        if found:
            current.in_python = line.lstrip().startswith('File "')
            current.frames.append(found)
        before = line if line.strip() else before
    yield current


def _head(line: str, *, is_frame: bool) -> _Raised | None:
    """The exception that a line names before its frames; of Ruby that line is a frame too."""
    if named := _RUBY_HEAD.match(line):
        return _Raised(named["kind"], named["text"])
    if named := _RUST_HEAD.match(line):
        return _Raised("panic", named["text"] or "")
    if not is_frame and (named := _HEADER.match(line)):
        return _Raised(named["led"] or named["kind"], named["text"] or "")
    return None


def _identity(raised: _Raised) -> str:
    kind = re.split(r"[.$\\]|::", raised.kind)[-1]
    frames = raised.frames[::-1] if raised.in_python else raised.frames
    return "\n".join([f"{kind}: {masked(_SUGGESTION.sub('', raised.text))}", *_kept(frames)])


def _kept(frames: Sequence[Frame]) -> Iterator[str]:
    """The program's innermost frames, a recursion once, and what the innermost one called; `frames` innermost first."""
    own = [at for at, each in enumerate(frames) if each.is_own] or [*range(len(frames))]
    first = own[0]
    if first > 0 and not frames[first].code:
        yield f"  called {frames[first - 1].function}"
    lines = dict.fromkeys(f"  {frames[at].file} {frames[at].function} {frames[at].code}".rstrip() for at in own)
    yield from [*lines][:_FRAMES_KEPT]
