"""Asking a running instance through its operations listener: HTTP over a Unix socket, or over loopback with a token."""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from m10actors.cli.errors import CommandError, Unreachable, WrongUsage

TIMEOUT_SECONDS = 10.0
_LARGEST_ANSWER = 16 * 1024 * 1024
_FORM = "an operations address looks like unix:PATH or http://127.0.0.1:8711"


def ask(address: str, path: str, token: str | None = None, request: Mapping[str, object] | None = None) -> Any:
    """The JSON document at `path`, or the answer to a `request` that is sent there. Unreachable if nobody answers,
    WrongUsage if the address is not of operations.
    """
    connection = _connection(address)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if request is not None:
        headers["Content-Type"] = "application/json"
    try:
        if request is None:
            connection.request("GET", path, headers=headers)
        else:
            connection.request("POST", path, json.dumps(request), headers)
        response = connection.getresponse()
        status, body = response.status, response.read(_LARGEST_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{address} does not answer: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    return _answer(address, status, body)


def _answer(address: str, status: int, body: bytes) -> Any:
    try:
        document = json.loads(body)
    except ValueError:
        raise WrongUsage(f"{address} is no operations address of m10: it answers with other things than JSON") from None
    if status in {http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED}:
        return document
    message = document.get("message") if isinstance(document, dict) else None
    text = f"{address} refuses with {status}: {message or 'no reason was given'}"
    match status:
        case 422:
            problems = (f"{each['field']}: {each['message']}" for each in document["problems"])
            raise WrongUsage("; ".join([text, *problems]))
        case 401 | 403:
            raise WrongUsage(f"{text} (--token, --token-file or M10_TOKEN)")
        case 404 | 405 | 421:
            raise WrongUsage(text)
        case 503:
            raise Unreachable(text)
        case _:
            raise CommandError(text)


def _connection(address: str) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:").removeprefix("//"))
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise WrongUsage(_FORM) from None
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.path.strip("/") or parts.query:
        raise WrongUsage(_FORM)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=TIMEOUT_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP on a Unix socket (unix(7))."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
