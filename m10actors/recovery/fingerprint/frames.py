"""The lines of stack traces that are frames, of Python, Java, .NET, JavaScript, Go, Ruby, PHP and Rust.

A frame is known by its function and the name of its file: line numbers move with every version, folders with every
host.
"""

import re
from dataclasses import dataclass
from typing import Final

_FRAMES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r'\s*+File "(?P<file>[^"]*+)", line \d++(?:, in (?P<function>.++))?',
        r"\s*+at (?:async |new )?(?P<function>[^()\s][^()]*+)\((?:(?P<file>[^()]*?):\d++:\d++\))?",
        r"\s{1,8}+at (?:async )?(?P<file>[^()\s]+?):\d++:\d++\Z(?P<function>)",
        r"\s++(?P<file>[^\s:]+\.(?:go|s)):\d++",
        r"\s*+(?:from )?(?P<file>[^\s:]++):\d++:in ['`](?P<function>[^'`]*+)'",
        r"\s*+#\d++ (?P<file>[^\s(]++)(?:\(\d++\))?: (?P<function>[^(]++)\(",
        r"\s*+\d++: \s*+(?:0x[\da-f]++ - )?(?P<function>\S*?::.*+)",
    )
)
_LIBRARY_FILE: Final = re.compile(
    r"(?:.*[/\\])?(?:site-packages|dist-packages|python\d(?:\.\d+)?|node_modules|gems|rustc|go[/\\]src|pkg[/\\]mod)[/\\]"
    r"|<frozen |node:|internal/"
)
_LIBRARY_FUNCTION: Final = re.compile(
    r"(?:javax?|jdk|sun|com\.sun|kotlinx?|scala|groovy|clojure|org\.springframework|System|Microsoft|runtime|reflect)\."
    r"|<?(?:std|core|alloc)::|rust_|__rust|panic\Z|<module>\Z|<main>\Z"
)
_NUMBERED: Final = re.compile(r"\$+\w*\d\w*|/0x\w+|@[\da-f]+\Z|(?<=Accessor)\d+|(?<=>d__)\d+|::h[\da-f]{16}\Z")
"""What a compiler or a runtime numbers anew: lambda$run$0, $Proxy12, <Run>d__7, ::h0123456789abcdef."""

_HASH: Final = re.compile(r"[.-](?=[a-f]*\d)[\da-f]{6,}(?=\.)")
"""What a bundler puts into the name of a file: main.3fa9c1d2.js."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A function, the name of its file where the trace says one, and the line of code where it prints that.

    `is_own`: whether it is code of the program, not of its language or a library, nor the script around it.
    """

    function: str
    file: str
    is_own: bool
    code: str = ""


def frame(line: str, before: str) -> Frame | None:
    """The frame in a line of a stack trace; `before` is the line above it, where Go names the function."""
    for pattern in _FRAMES:
        if found := pattern.match(line):
            named = found.groupdict("")
            place, function = named.get("file", ""), named.get("function", before.rpartition("(")[0])
            return Frame(
                function=_known_as(function),
                file=_HASH.sub("", re.split(r"[/\\]", place)[-1]),
                is_own=not _LIBRARY_FILE.match(place) and not _LIBRARY_FUNCTION.match(function),
            )
    return None


def _known_as(function: str) -> str:
    """The function without modules of the virtual machine, enclosing functions and invented numbers."""
    name = function.rpartition("<locals>.")[2].strip()
    return _NUMBERED.sub("$", re.sub(r"\A(?:[\w.-]+(?:@[\w.-]*)?/{1,2})+(?=[\w$]+\.)", "", name))
