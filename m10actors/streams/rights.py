"""The least that a Redis user must be allowed: no scripts, and nothing that reaches beyond the keys of the queue.

One table says which commands the queue uses, on which keys, and what for. From it come the rules for ACL SETUSER, and
the look at what a user may not do: each command is tried in a form that changes nothing.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from m10actors.redis_address import Form
from m10actors.streams.client import RedisClient
from m10actors.streams.connection import Command
from m10actors.streams.errors import RedisRightMissing, StreamsError
from m10actors.streams.names import StreamNames

_NO_ENTRY: Final = "0-0"
"""An id that no entry has."""

_UNKNOWN: Final = ("unknown command", "unknown subcommand")


@dataclass(frozen=True, slots=True)
class Right:
    """A command as ACL writes it, what it is for, and forms of it, one for each key, that do nothing but fail or look.

    A server judges rights before it looks at anything else.
    """

    command: str
    purpose: str
    trials: Callable[[StreamNames], list[Command]]


def _both(*words: str) -> Callable[[StreamNames], list[Command]]:
    """On the stream and on the dead-letter stream."""
    return lambda names: [(words[0], key, *words[1:]) for key in (names.stream, names.dead_letter)]


def _group(*words: str, then: tuple[str | int, ...] = ()) -> Callable[[StreamNames], list[Command]]:
    """On the group of the stream."""
    return lambda names: [(*words, names.stream, names.group, *then)]


NEEDED: Final = (
    Right(
        "xadd", "tell the workers what is due, and copy dead letters", _both("XADD", "NOMKSTREAM", _NO_ENTRY, "a", "b")
    ),
    Right("xlen", "keep the stream within its limit", _both("XLEN")),
    Right(
        "xreadgroup",
        "read new entries",
        lambda names: [
            ("XREADGROUP", "GROUP", names.group, "nobody", "COUNT", "none", "STREAMS", names.stream, ">"),
        ],
    ),
    Right("xgroup|create", "make the consumer group", _group("XGROUP", "CREATE", then=("none",))),
    Right("xpending", "find entries that nobody finishes", _group("XPENDING")),
    Right("xclaim", "take over entries that nobody finishes", _group("XCLAIM", then=("nobody", "none", _NO_ENTRY))),
    Right("xrange", "look at entries that nobody finishes, and at dead letters", _both("XRANGE", _NO_ENTRY, _NO_ENTRY)),
    Right("xack", "acknowledge entries", _group("XACK", then=(_NO_ENTRY,))),
    Right("xdel", "delete what is acknowledged, and dead letters that are archived", _both("XDEL", _NO_ENTRY)),
    Right("xinfo|consumers", "tell how many consumers read", _group("XINFO", "CONSUMERS")),
    Right("incr", "see whether the server takes writes", lambda names: [("INCR", names.probes)]),
    Right("get", "see whether the data is the same", lambda names: [("GET", names.incarnation)]),
    Right("set", "see whether the data is the same", lambda names: [("SET", names.incarnation, "", "NX", "XX")]),
    Right("time", "tell how old entries are", lambda _: [("TIME",)]),
)
"""Without any of these the stream is not used, and the work goes through PostgreSQL. Counted probes do no harm."""

NEEDED_TOGETHER: Final = ("multi", "exec")
"""The same, but tried as one."""

OPTIONAL: Final = (
    Right("client|id", "end a waiting read when the process stops", lambda _: [("CLIENT", "ID")]),
    Right("client|unblock", "end a waiting read when the process stops", lambda _: [("CLIENT", "UNBLOCK", 0)]),
    Right(
        "client|setinfo",
        "show the library in the server's list of clients (Redis 7.2)",
        lambda _: [("CLIENT", "SETINFO", "nothing", "")],
    ),
    Right(
        "xackdel",
        "acknowledge and delete in one command (Redis 8.2)",
        _group("XACKDEL", then=("IDS", 1, _NO_ENTRY)),
    ),
    Right(
        "xgroup|delconsumer",
        "forget the consumers of processes that are gone",
        _group("XGROUP", "DELCONSUMER", then=("nobody",)),
    ),
    Right(
        "xinfo|groups",
        "delete what others acknowledged and left in the stream",
        lambda names: [("XINFO", "GROUPS", names.stream)],
    ),
    Right(
        "xtrim",
        "delete what others acknowledged and left in the stream",
        lambda names: [("XTRIM", names.stream, "MINID", _NO_ENTRY)],
    ),
    Right(
        "info",
        "see a failover at once, and whether the server may throw the stream away",
        lambda _: [("INFO", "server")],
    ),
)
"""What the queue can do without, each with what is then missing."""

SENTINEL_RULES: Final = ("on", "resetkeys", "resetchannels", "-@all", "+sentinel|get-master-addr-by-name")
"""The rules for the user of the Sentinels."""


def commands(form: Form = Form.SERVER) -> list[str]:
    """Every command that the queue may send, as ACL writes them."""
    by_form = "asking" if form is Form.CLUSTER else "select"  # for a database other than 0
    return [*(right.command for right in (*NEEDED, *OPTIONAL)), *NEEDED_TOGETHER, by_form]


def acl_rules(names: StreamNames, form: Form = Form.SERVER, without: Collection[str] = ()) -> list[str]:
    """The rules for ACL SETUSER, apart from the password, `without` some commands. https://valkey.io/topics/acl/"""
    return [
        "on",
        "resetkeys",
        "resetchannels",
        "-@all",
        *(f"~{_literal(key)}" for key in names.keys),
        *(f"+{each}" for each in commands(form) if each not in without),
    ]


def unknown_commands(client: RedisClient, names: StreamNames) -> set[str]:
    """Those of the optional commands that the server does not know: it refuses rules that name them."""
    return {
        right.command
        for right, _, reply in _tried(client, names, OPTIONAL)
        if isinstance(reply, StreamsError) and any(sign in str(reply).lower() for sign in _UNKNOWN)
    }


def check_rights(client: RedisClient, names: StreamNames) -> None:
    """Raises RedisRightMissing that names every right which the queue needs and the user lacks."""
    tried = list(_tried(client, names, NEEDED))
    lacking = [
        " on ".join([right.command, *(key for key in names.keys if key in command)]) + f" (to {right.purpose})"
        for right, command, reply in tried
        if isinstance(reply, RedisRightMissing)
    ]
    *_, (_, command, reply) = tried  # the last one, which needs no key, once more and in one step
    if not isinstance(reply, RedisRightMissing):
        try:
            client.transaction([command])
        except RedisRightMissing:
            lacking.append(f"{' and '.join(NEEDED_TOGETHER)} (to acknowledge and delete in one step)")
    if lacking:
        raise RedisRightMissing(f"the Redis user may not {', '.join(lacking)}; m10 doctor --acl prints what it needs")


def _tried(
    client: RedisClient, names: StreamNames, rights: tuple[Right, ...]
) -> Iterator[tuple[Right, Command, object]]:
    tried = [(right, command) for right in rights for command in right.trials(names)]
    replies = client.attempt([command for _, command in tried])
    for (right, command), reply in zip(tried, replies, strict=True):
        yield right, command, reply


def _literal(key: str) -> str:
    """A key as a pattern that matches only itself."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in key)
