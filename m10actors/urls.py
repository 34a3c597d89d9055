"""Taking the address of a store apart, whose authority may name several hosts: `HOST,[::1]:7001`.

urllib cannot: since CPython 3.14, and in newer releases before it, `urlsplit` refuses what stands before a bracket.
"""

import re
from typing import Final
from urllib.parse import SplitResult

_GENERIC: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def split_url(text: str) -> SplitResult:
    """The parts by RFC 3986, appendix B; the authority as it stands, for whoever asks for its hosts to check."""
    parts = _GENERIC.fullmatch(text)
    assert parts is not None, "the expression takes every text"
    scheme, netloc, path, query, fragment = parts.groups("")
    return SplitResult(scheme.lower(), netloc, path, query, fragment)
