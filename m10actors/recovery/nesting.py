"""How deep JSON is nested, told without parsing it.

How deep a recursive reader or writer gets is another matter on each version of Python, and in each part of it: the
decoder of 3.13 reads what its encoder of indented JSON cannot write. So what is too deep is counted first.
"""

from itertools import accumulate
from typing import Final

READABLE_LEVELS: Final = 200
"""Of what other programs stored: every reader and writer here gets that far, pydantic's with its 255 levels too."""

_TEXT = bytes(set(range(256)) - set(b'[]{}"'))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def is_deeper(raw: bytes, levels: int) -> bool:
    """Whether the brackets outside strings are nested deeper than so many levels, in JSON; of anything else no parser
    gets deeper before it stops.
    """
    if raw.count(b"[") + raw.count(b"{") <= levels:
        return False
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two quotes with nothing between them may go: every other stretch between quotes is a string as before.
    outside = unescaped.translate(None, _TEXT).replace(b'""', b"").split(b'"')[::2]
    return max(accumulate(map(_STEP.__getitem__, b"".join(outside))), default=0) > levels
