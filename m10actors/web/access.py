"""Who is asking: bearer tokens and their scopes (RFC 6750)."""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from m10actors import metrics
from m10actors.postgres import tokens
from m10actors.postgres.tokens import Token
from m10actors.web.errors import Refusal
from m10actors.web.rates import Buckets
from m10actors.web.services import Services

REMEMBERED_SECONDS: Final = 5.0
"""How long a revoked token may still be taken."""
UNKNOWN_RATE: Final = 5.0
UNKNOWN_BURST: Final = 50
"""Tokens that are looked up for one address before it is known that they are good: at once, and per second after."""
_MOST_REMEMBERED: Final = 1024
_LONGEST: Final = 256

Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request: the name of the token, or `local` at the Unix socket."""

    name: str


LOCAL: Final = Caller("local")


class Doorkeeper:
    """Knows tokens; found ones are remembered for a few seconds, so that a call does not cost a query.

    Limits the requests of each token, and for each address the tokens that are looked up and not found: a stranger who
    guesses costs a bounded number of queries, and a token that was good a moment ago is not kept out by one.

    Belongs to one event loop, and is used from no other thread.
    """

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = services.database
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Token, float]] = OrderedDict()
        self._requests = Buckets(services.limits.token_rate, services.limits.token_burst, clock)
        self._strangers = Buckets(UNKNOWN_RATE, UNKNOWN_BURST, clock)

    def needs(self, scope: str) -> Callable[..., Awaitable[Caller]]:
        """A dependency: the caller, if its token has the scope; else 401, 403 or 429, and 503 without PostgreSQL."""

        async def caller(request: Request, credentials: Credentials) -> Caller:
            return await self.admit(request, credentials, scope)

        return caller

    async def admit(self, request: Request, credentials: HTTPAuthorizationCredentials | None, scope: str) -> Caller:
        """The caller of the request, if its token has the scope; raises as `needs` says."""
        if credentials is None:
            raise unauthorized("a bearer token is needed", 'Bearer realm="m10"')
        token = await self._token(credentials.credentials, request.client.host if request.client else "")
        if token is None:
            raise unauthorized("the token is not known", 'Bearer realm="m10", error="invalid_token"')
        if scope not in token.scopes:
            challenge = f'Bearer realm="m10", error="insufficient_scope", scope="{scope}"'
            message = f"the token lacks the scope {scope}"
            raise Refusal(403, "scope_missing", message, headers={"WWW-Authenticate": challenge})
        return self.counted(Caller(token.name))

    def counted(self, caller: Caller) -> Caller:
        """The caller, with this request counted; 429 if it makes too many."""
        if wait := self._requests.take(caller.name):
            raise _too_often("rate_limited", "this token makes too many requests: see http.token_rate", wait)
        return caller

    async def _token(self, text: str, peer: str) -> Token | None:
        if len(text) > _LONGEST:
            return None
        key = hashlib.sha256(text.encode()).digest()
        known, until = self._known.get(key, (None, 0.0))
        if known is not None and self._clock() < until:
            return known
        if known is None and (wait := self._strangers.take(peer)):
            raise _too_often("too_many_unknown", "too many unknown tokens came from this address", wait)
        token = await run_in_threadpool(tokens.find, self._database, text)
        if known is None and token is not None:
            self._strangers.give_back(peer)
        self._known.pop(key, None)
        if token is not None:
            self._known[key] = (token, self._clock() + REMEMBERED_SECONDS)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return token


def unauthorized(message: str, challenge: str) -> Refusal:
    """Nobody who is known: says how to be."""
    return Refusal(401, "unauthorized", message, headers={"WWW-Authenticate": challenge})


def _too_often(error: str, message: str, wait: float) -> Refusal:
    metrics.RATE_LIMITED.labels(error).inc()
    return Refusal(429, error, message, headers={"Retry-After": str(math.ceil(wait))})
