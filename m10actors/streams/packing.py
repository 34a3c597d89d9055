"""Messages as they go over the wire: what a batch shares is written once.

A command is the number of its words and then each word, with its length in front.
https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from m10actors.streams.codec import Message, encode

_BESIDE_IDENTITY: Final = itemgetter(slice(2, None))
"""All of a message but candidate_id and generation."""


def additions(stream: str, messages: Iterable[Message]) -> Iterator[bytes]:
    """An XADD for each message, in their order."""
    for _, alike in groupby(messages, _BESIDE_IDENTITY):
        yield from _alike(stream, list(alike))


def _alike(stream: str, messages: list[Message]) -> Iterator[bytes]:
    owner_name, _, identity_name, _, *shared = encode(messages[0])
    before = b"*%d\r\n%b" % (7 + len(shared), _words("XADD", stream, "*", owner_name))
    between, after = _words(identity_name), _words(*shared)
    for message in messages:
        owner, identity = b"%d" % message.candidate_id, message.message_id.encode()
        yield b"%b$%d\r\n%b\r\n%b$%d\r\n%b\r\n%b" % (before, len(owner), owner, between, len(identity), identity, after)


def _words(*words: str) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(raw), raw) for raw in map(str.encode, words)])
