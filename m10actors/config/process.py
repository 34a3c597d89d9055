"""The process: its listeners, its run folder, its end, its log."""

from typing import Annotated, Literal

from pydantic import Field

from m10actors.config.addresses import TcpAddress, UnixAddress
from m10actors.config.durations import duration
from m10actors.config.kinds import AsTuple, Duration, Env, FilePath, Listen, OpsListen, Says, Section

_HOST_NAME = r"^[A-Za-z0-9_.:\[\]-]{1,255}$"


class Http(Section):
    """The listeners: the API, operations, and metrics if they have an address of their own."""

    listen: Annotated[Listen, Env("M10_HTTP_LISTEN")] = TcpAddress("127.0.0.1", 8710)
    """Address of the API."""
    ops_listen: Annotated[tuple[OpsListen, ...], AsTuple, Field(min_length=1), Env("M10_OPS_LISTEN")] = (UnixAddress(),)
    """Addresses of operations: `unix:` is the socket in the run folder; TCP requests need a token."""
    metrics_listen: Annotated[Listen | None, Env("M10_METRICS_LISTEN")] = None
    """Address of `/metrics` alone; by default it is served by the API."""
    allowed_hosts: Annotated[
        tuple[Annotated[str, Field(pattern=_HOST_NAME), Says("a host, with or without a port")], ...], AsTuple
    ] = ()
    """Names in the Host header that are answered besides those of loopback."""
    request_timeout: Duration = duration("30s")
    """Deadline for a whole request to arrive."""
    token_rate: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 1000.0
    """Requests a second that one token may make in the long run; past that it is answered 429."""
    token_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """Requests that one token may make at once after a pause."""


class Process(Section):
    """The process as its host sees it."""

    run_dir: Annotated[FilePath | None, Env("M10_RUN_DIR")] = None
    """Run folder; by default $RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR/m10, else ~/.m10/run."""
    grace: Duration = duration("20s")
    """Deadline of the drain after SIGTERM."""
    max_abandoned: Annotated[int, Field(ge=0, le=1000)] = 10
    """Threads that hang and cannot be ended with which the process goes on; with more it drains and ends with 70."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Env("M10_LOG_LEVEL")] = "info"
    """Least level that is logged."""
    log_format: Annotated[Literal["auto", "text", "json"], Env("M10_LOG_FORMAT")] = "auto"
    """Form of a log line; auto is text on a terminal and JSON elsewhere."""
