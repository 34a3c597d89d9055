"""The lines with which runtimes begin a report of a failure, and the line that names its exception."""

import re
from typing import Final

CLASS: Final = r"(?:[A-Za-z_]\w*[.$])*[A-Za-z_]\w*"

PYTHON_BEGIN: Final = "Traceback (most recent call last):"
PYTHON_END: Final = re.compile(rf"(?P<name>{CLASS})(?::\s|:?$)")

RUBY_HEAD: Final = re.compile(
    r"(?P<place>\S{1,4096}:\d{1,9}:in ['`][^']{1,400}'): (?:.* \()?(?P<name>[A-Z]\w*(?:::\w+)*)\)?$"
)
"""`cart.rb:3:in 'total': no price (OutOfStock)`; without a message only the class follows the place."""

RUBY_THREAD: Final = re.compile(r"#<Thread:0x[\da-f]{1,16} [^>]{0,4096}> terminated with exception ")

_RUST: Final = r"thread '[^']{0,200}' (?:\(\d{1,20}\) )?"
RUST_HEAD: Final = re.compile(rf"{_RUST}(?:panicked at |has overflowed its stack$)")
RUST_AWAITING: Final = re.compile(
    rf"{_RUST}(?:panicked at \S{{1,4096}}:\d{{1,9}}:\d{{1,9}}:|has overflowed its stack)$"
)
"""The message stands on the next line."""
RUST_QUOTED: Final = re.compile(rf"{_RUST}panicked at '(?P<text>.*?)(?:', \S+:\d+:\d+$|$)")
"""As Rust printed it before 1.73, with the message before the place."""

_PHP: Final = r"(?P<line>(?P<name>(?:\w+\\)*[A-Z]\w*)(?::\s| in (?=/|[A-Z]:\\)).*)"
PHP_FATAL: Final = re.compile(r".{0,400}?Fatal error: +Uncaught ")
PHP_HEAD: Final = re.compile(rf"(?:.{{0,400}}?Fatal error: +)?Uncaught {_PHP}")
PHP_NEXT: Final = re.compile(rf"Next {_PHP}")

JAVA_HEAD: Final = re.compile(
    r"(?:Exception in thread \"[^\"]*\" |Unhandled exception\. |Uncaught )?"
    r"(?P<name>(?:[A-Za-z_]\w*[.$])*[A-Z]\w*(?:Exception|Error|Throwable))(?::(?:\s|$)|\s*$)"
)
"""Also of .NET and JavaScript."""

_UNCAUGHT: Final = re.compile(
    r"Traceback \(most recent call last\):|Exception in thread |Unhandled exception\. |Uncaught [A-Z]"
    r"|(?:PHP )?Fatal error: |panic: |fatal error: |(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?http: panic serving "
    rf"|{RUST_HEAD.pattern}|{RUBY_THREAD.pattern}|{RUBY_HEAD.pattern}"
)


def is_uncaught(text: str) -> bool:
    """Whether the line begins a report that a runtime printed by itself, whatever was logged before."""
    return bool(_UNCAUGHT.match(text))


def is_raised(text: str) -> bool:
    """Whether the line begins with the class of an exception, as a stack trace does."""
    return bool(_UNCAUGHT.match(text) or JAVA_HEAD.match(text))
