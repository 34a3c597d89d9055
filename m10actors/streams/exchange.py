"""Commands over one connection and what comes back: a reply to each, or the error that stands in its place."""

from collections.abc import Sequence
from typing import Final

from redis import exceptions as redis

from m10actors.streams.connection import Command, Packed, Reply, Wire

_ASKING: Final[Command] = ("ASKING",)


def exchange(
    connection: Wire, commands: Sequence[Command | Packed], *, atomic: bool = False, asking: bool = False
) -> list[Reply]:
    """The replies to commands sent in one go; `atomic`: they take effect together or not at all.

    `asking`: a node of a Cluster takes them though the slot is only about to become its own.
    """
    if atomic:
        return _in_one_step(connection, commands, [_ASKING] if asking else [])
    if asking:
        return _in_one_go(connection, [each for command in commands for each in (_ASKING, command)])[1::2]
    return _in_one_go(connection, commands)


def raise_first(replies: Sequence[Reply]) -> None:
    """Raises the first error among replies."""
    for reply in replies:
        if isinstance(reply, redis.RedisError):
            raise reply


def is_stale(connection: Wire) -> bool:
    """Whether the server closed the connection while it lay idle, or something lies in it that nobody asked for."""
    try:
        return connection.can_read()
    except (redis.ConnectionError, OSError):
        return True


def _in_one_step(connection: Wire, commands: Sequence[Command | Packed], before: list[Command]) -> list[Reply]:
    replies = _in_one_go(connection, [*before, ("MULTI",), *commands, ("EXEC",)])
    if isinstance(replies[-1], list):
        return replies[-1]
    error = next(reply for reply in replies if isinstance(reply, redis.RedisError))  # before EXEC's, which has no cause
    return [error] * len(commands)


def _in_one_go(connection: Wire, commands: Sequence[Command | Packed]) -> list[Reply]:
    packed = [each if isinstance(each, Packed) else b"".join(connection.pack_command(*each)) for each in commands]
    connection.send_packed_command([b"".join(packed)])
    return [_reply(connection) for _ in commands]


def _reply(connection: Wire) -> Reply:
    """One reply. An error reply is a value here, so that those after it are read too: the connection stays in step."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error
