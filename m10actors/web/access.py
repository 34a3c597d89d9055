"""Who is asking: bearer tokens and their scopes (RFC 6750)."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from m10actors.postgres import tokens
from m10actors.postgres.pool import Database
from m10actors.postgres.tokens import Token
from m10actors.web.errors import Refusal

REMEMBERED_SECONDS: Final = 5.0
"""How long a revoked token may still be taken."""
_MOST_REMEMBERED: Final = 1024
_LONGEST: Final = 256

_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request: the name of the token, or `local` at the Unix socket."""

    name: str


LOCAL: Final = Caller("local")


class Doorkeeper:
    """Knows tokens; found ones are remembered for a few seconds, so that a call does not cost a query.

    Belongs to one event loop, and is used from no other thread.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Token, float]] = OrderedDict()

    def needs(self, scope: str) -> Callable[..., Awaitable[Caller]]:
        """A dependency: the caller, if its token has the scope. 401, 403, or 503 while PostgreSQL cannot be asked."""

        async def caller(credentials: _Credentials) -> Caller:
            if credentials is None:
                raise _unauthorized("a bearer token is needed", 'Bearer realm="m10"')
            token = await self._token(credentials.credentials)
            if token is None:
                raise _unauthorized("the token is not known", 'Bearer realm="m10", error="invalid_token"')
            if scope not in token.scopes:
                challenge = f'Bearer realm="m10", error="insufficient_scope", scope="{scope}"'
                message = f"the token lacks the scope {scope}"
                raise Refusal(403, "scope_missing", message, headers={"WWW-Authenticate": challenge})
            return Caller(token.name)

        return caller

    async def _token(self, text: str) -> Token | None:
        if len(text) > _LONGEST:
            return None
        key = hashlib.sha256(text.encode()).digest()
        token, until = self._known.get(key, (None, 0.0))
        if token is not None and self._clock() < until:
            return token
        token = await run_in_threadpool(tokens.find, self._database, text)
        self._known.pop(key, None)
        if token is not None:
            self._known[key] = (token, self._clock() + REMEMBERED_SECONDS)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return token


def _unauthorized(message: str, challenge: str) -> Refusal:
    return Refusal(401, "unauthorized", message, headers={"WWW-Authenticate": challenge})
