"""What one failure looks like in the sample, without a word about the machine it happened on."""

import getpass
import json
import re
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Report:
    """One failure that happened; `source` is the program that reports it, `kind` groups the count at the end."""

    kind: str
    source: str
    error_type: str
    raw: str
    meta: dict[str, object] = field(default_factory=dict)

    def line(self, folder: Path) -> str:
        """The report as JSON, scrubbed of this machine's paths and names; `folder` is where the collector works."""
        meta = {name: scrubbed(value, folder) if isinstance(value, str) else value for name, value in self.meta.items()}
        payload = {
            "error_type": self.error_type,
            "raw": scrubbed(self.raw, folder),
            "meta": {"kind": self.kind, **meta},
        }
        return json.dumps({"failure_payload": payload, "source": self.source}, ensure_ascii=False)


class DidNotFailError(Exception):
    """What was meant to go wrong went well here, so there is nothing to report."""


def provoke(
    kind: str,
    source: str,
    action: Callable[[], object],
    *expected: type[Exception],
    name: Callable[[Exception], str] = lambda error: type(error).__name__,
    **meta: object,
) -> Report:
    """Runs `action`, which fails with one of `expected`, and reports that failure."""
    try:
        action()
    except expected as error:
        return Report(kind, source, name(error), str(error).strip() or repr(error), dict(meta))
    raise DidNotFailError(f"{kind}: {action!r}")


def scrubbed(text: str, folder: Path) -> str:
    """`text` without this machine's paths, host name and user name."""
    for path, instead in ((str(folder), "<tmp>"), *_paths()):
        text = text.replace(path, instead)
    for word, instead in ((socket.gethostname(), "<host>"), (_user(), "<user>")):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", instead, text)
    return text


@cache
def _paths() -> tuple[tuple[str, str], ...]:
    """Longest first, as the interpreter often lies below the home."""
    roots = {
        str(Path(__file__).resolve().parents[2]): "<app>",
        str(Path(sys.executable).parent): "<python>/bin",
        sys.prefix + "/lib": "<python>/lib",
        sys.base_prefix + "/lib": "<python>/lib",
        sys.base_prefix + "/bin": "<python>/bin",
        str(Path.home()) + "/": "~/",
        tempfile.gettempdir() + "/": "<tmp>/",
    }
    return tuple(sorted(roots.items(), key=lambda root: -len(root[0])))


@cache
def _user() -> str:
    return getpass.getuser()
