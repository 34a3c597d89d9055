"""An instance that is reached over HTTP, in the way of the Python client."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from m10actors.cli.errors import WrongUsage
from m10actors.cli.targets import TryLater
from m10actors.client.errors import ClientError, NotPermitted, Unavailable
from m10actors.client.items import line_of
from m10actors.client.results import Outcome
from m10actors.client.transport import connect, server_at
from m10actors.config.addresses import check_http_url
from m10actors.lines import Reported

_TIMEOUT_SECONDS: Final = 60.0


class HttpTarget:
    """The API at `url`, with a token of scope recovery:write. WrongUsage if the URL is no good."""

    def __init__(self, url: str, token: str | None, ca_file: Path | None = None) -> None:
        try:
            check_http_url(url)
        except ValueError as error:
            raise WrongUsage(f"--url: expected {error}") from None
        try:
            server = server_at(url, token, _TIMEOUT_SECONDS, ca_file)
        except ValueError as error:
            raise WrongUsage(str(error)) from None
        self.name = server.name
        self._transport = connect(server)

    def send(self, batch: Sequence[Reported]) -> Sequence[Outcome]:
        try:
            return self._transport.send([line_of(line.item) for line in batch])
        except Unavailable as error:
            raise TryLater(str(error), error.retry_after) from error
        except NotPermitted as error:
            raise WrongUsage(f"{error} (--token-file, M10_TOKEN or --token)") from error
        except ClientError as error:
            raise WrongUsage(str(error)) from error

    def close(self) -> None:
        self._transport.close()
