"""The least that a Redis user must be allowed: no scripts, and nothing that reaches beyond the keys of the queue."""

from typing import Final

from m10actors.streams.names import StreamNames

NEEDED: Final = (
    "multi", "exec", "time", "get", "set", "incr",
    "xadd", "xlen", "xrange", "xdel", "xack", "xreadgroup", "xpending", "xclaim",
    "xgroup|create", "xinfo|consumers",
)  # fmt: skip
"""The commands without which the queue does not work (and `select`, for a database other than 0)."""

OPTIONAL: Final = {
    "client|id": "end a waiting read when the process stops",
    "client|unblock": "end a waiting read when the process stops",
    "client|setinfo": "show the library in the server's list of clients",
    "xgroup|delconsumer": "forget the consumers of processes that are gone",
    "xinfo|groups": "delete what others acknowledged and left in the stream",
    "xtrim": "delete what others acknowledged and left in the stream",
    "info": "see whether the server may throw the stream away",
}
"""The commands that it can do without, each with what is then missing."""


def acl_rules(names: StreamNames, *, optional: bool = True) -> list[str]:
    """The rules for ACL SETUSER, apart from the password. https://valkey.io/topics/acl/"""
    commands = [*NEEDED, "select", *(OPTIONAL if optional else ())]
    keys = (names.stream, names.dead_letter, names.incarnation, names.probes)
    return [
        "on",
        "resetkeys",
        "resetchannels",
        "-@all",
        *(f"~{_literal(key)}" for key in keys),
        *(f"+{each}" for each in commands),
    ]


def _literal(key: str) -> str:
    """A key as a pattern that matches only itself."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in key)
