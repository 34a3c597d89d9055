"""The API over HTTP. Every phase of a request has a timeout, redirects are not followed, and nothing is taken from the
environment: no proxy, no .netrc. HTTPS is checked against what the system trusts, or the server's own `ca_file`.
"""

import ssl
from typing import Any, Final

import httpx

from m10actors import logs
from m10actors.client import answers
from m10actors.client.errors import ClientError, Unavailable, WrongAddress
from m10actors.client.items import Lines
from m10actors.client.results import Outcome
from m10actors.client.transport import Server

LONGEST_CONNECT: Final = 5.0
"""Seconds; a batch may take longer to be stored than a server that is there takes to be reached."""


class HttpTransport:
    """Blocking; safe to use from many threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = httpx.Client(**_options(server))

    def send(self, lines: Lines) -> list[Outcome]:
        """An outcome for each line, in order."""
        try:
            response = self._http.post(self._server.url + answers.PATH, content=b"".join(lines))
        except httpx.HTTPError as error:
            raise _failure(self._server, error) from error
        return _outcomes(self._server, response, len(lines))

    def close(self) -> None:
        self._http.close()


class AsyncHttpTransport:
    """For one event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = httpx.AsyncClient(**_options(server))

    async def send(self, lines: Lines) -> list[Outcome]:
        """As HttpTransport.send."""
        try:
            response = await self._http.post(self._server.url + answers.PATH, content=b"".join(lines))
        except httpx.HTTPError as error:
            raise _failure(self._server, error) from error
        return _outcomes(self._server, response, len(lines))

    async def close(self) -> None:
        await self._http.aclose()


def _options(server: Server) -> dict[str, Any]:
    headers = {"Content-Type": "application/x-ndjson", "User-Agent": "m10-client"}
    if server.token:
        headers["Authorization"] = f"Bearer {server.token}"
    return {
        "headers": headers,
        "timeout": httpx.Timeout(server.timeout, connect=min(server.timeout, LONGEST_CONNECT)),
        "verify": ssl.create_default_context(cafile=server.ca_file),
        "trust_env": False,
    }


def _outcomes(server: Server, response: httpx.Response, expected: int) -> list[Outcome]:
    return answers.outcomes(server.name, response.status_code, response.headers, response.content, expected)


def _failure(server: Server, error: httpx.HTTPError) -> ClientError:
    """Weather, except where TLS says that the address or whom we trust is wrong: no later attempt changes that."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return WrongAddress(f"{server.name}: TLS failed: {logs.escape(cause.verify_message)}")
            case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
                return WrongAddress(f"{server.name}: TLS failed: the server speaks no TLS")
        cause = cause.__cause__ or cause.__context__
    return Unavailable(f"{server.name} cannot be reached: {logs.escape(str(error)) or type(error).__name__}")
