"""An instance that is reached over HTTP: `POST /api/v1/recovery/ingest/batch`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import urllib3

from m10actors import logs
from m10actors.cli.errors import WrongUsage
from m10actors.cli.targets import Outcome, Refused, Stored, TryLater
from m10actors.config.addresses import check_http_url
from m10actors.lines import Reported

_PATH = "/api/v1/recovery/ingest/batch"
_TIMEOUT = urllib3.Timeout(connect=5.0, read=60.0)
_LONGEST_PAUSE = 60.0  # seconds; a Retry-After beyond it is not believed
_LATER = {408, 425, 429, 500, 502, 503, 504}


class HttpTarget:
    """The API at `url`, with a token of scope recovery:write. WrongUsage if the URL is no good."""

    def __init__(self, url: str, token: str | None) -> None:
        try:
            check_http_url(url)
        except ValueError as error:
            raise WrongUsage(f"--url: expected {error}") from None
        self.name = url.rstrip("/")
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": "m10-ingest"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._http = urllib3.PoolManager(num_pools=1, retries=False, timeout=_TIMEOUT)

    def send(self, batch: Sequence[Reported]) -> Sequence[Outcome]:
        body = b"\n".join(json.dumps(line.item, ensure_ascii=False, separators=(",", ":")).encode() for line in batch)
        try:
            response = self._http.request("POST", self.name + _PATH, body=body, headers=self._headers, redirect=False)
        except urllib3.exceptions.SSLError as error:
            raise WrongUsage(f"{self.name}: TLS failed: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            raise TryLater(f"{self.name} cannot be reached: {_reason(error)}") from error
        answer = _document(response.data)
        if response.status != 200:
            raise self._refusal(response.status, response.headers, answer)
        items = answer.get("items")
        if not isinstance(items, list) or len(items) != len(batch):
            raise WrongUsage(f"{self.name} is no API of m10: its answer has no outcome for each failure")
        return [_outcome(item) for item in items]

    def close(self) -> None:
        self._http.clear()

    def _refusal(self, status: int, headers: Mapping[str, str], answer: Mapping[str, Any]) -> Exception:
        text = f"{self.name} answers {status}: {answer.get('message', 'without a reason')}"
        if status in _LATER:
            return TryLater(text, _seconds(headers.get("Retry-After", "")))
        if status in {401, 403}:
            return WrongUsage(f"{text} (--token-file, M10_TOKEN or --token)")
        return WrongUsage(text)


def _outcome(item: Mapping[str, Any]) -> Outcome:
    if item["status"] == "rejected":
        return Refused(tuple(item["problems"]))
    return Stored(counted=item["counted"], opened=item["status"] == "accepted")


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _seconds(text: str) -> float:
    """Retry-After in seconds; the form with a date is left to the backoff."""
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    """The last part of urllib3's words, without the connection object that they begin with."""
    return logs.escape(str(error).rpartition(": ")[2]) or type(error).__name__
