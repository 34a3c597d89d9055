"""What leaves the process: destinations, actions, Slack, the object store."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from m10actors.config.durations import duration
from m10actors.config.kinds import (
    AsTuple,
    Count,
    Duration,
    Env,
    FilePath,
    Fraction,
    HttpUrl,
    Says,
    Secret,
    SecretHttp,
    SecretText,
    Section,
    Text,
    empty,
    freeze,
    frozen_json,
)

Pause = Annotated[Duration, Field(ge=timedelta(milliseconds=10), le=timedelta(minutes=5))]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "m10-fencing-token",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_NEVER_OPEN = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))


def _headers(table: Mapping[str, Secret]) -> Mapping[str, Secret]:
    for name, value in table.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("header names of letters, digits and hyphens")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"headers other than {name}, which is set by the delivery")
        if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError(f"a value for {name} in printable ASCII on one line")
    return freeze(table)


def _signing_secret(secret: Secret) -> Secret:
    """Standard Webhooks: 24 to 64 bytes in base64, after an optional `whsec_`."""
    try:
        key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("secrets of 24 to 64 bytes in base64, each after an optional whsec_")
    return secret


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        network = ip_network(value)
    except ValueError as error:
        raise ValueError("networks such as 10.0.0.0/8 or fd00::/8") from error
    if any(network.version == never.version and network.overlaps(never) for never in _NEVER_OPEN):
        raise ValueError("networks without the link-local addresses, which are never called")
    return network


def _known_kind(event_type: str) -> str:
    from m10actors.delivery import kinds as event_kinds  # only where there are actions: it takes a while to load

    kinds = event_kinds.names()
    if event_type.partition(":")[0] not in kinds:
        raise ValueError(f"a kind that is known here, before the colon: {', '.join(sorted(kinds))}")
    return event_type


class Destination(Section):
    """A receiver that may be called; nothing else is."""

    url: SecretHttp
    """Address; https unless `allow_http` is set. Only its host is shown: the rest may be a credential."""
    timeout: Duration | None = None
    """Deadline of a whole request; by default `outbox.http_timeout`."""
    headers: Annotated[Mapping[str, Secret], AfterValidator(_headers)] = Field(default_factory=empty)
    """Headers that each request carries; their values are secrets."""
    secrets: Annotated[
        tuple[Annotated[SecretText, AfterValidator(_signing_secret), Says("a signing secret")], ...], AsTuple
    ] = ()
    """Signing secrets (Standard Webhooks), each of which signs, so that they can be rotated."""
    on_conflict: Literal["retry", "delivered"] = "retry"
    """What an answer of 409 means."""
    allow_networks: Annotated[
        tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network), Says("a network")], ...], AsTuple
    ] = ()
    """Private networks in which the receiver may lie."""
    allow_http: bool = False
    """Whether the address may be http, for development."""
    batch: Annotated[int, Field(ge=1, le=500)] = 1
    """With more than 1, `webhook:` events go together, so many in one request at most (docs/delivery.md)."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Requests on their way at once, at most; by default half of `outbox.max_concurrent_http`, all of a single one."""
    rate: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False), Says("a number above 0")] | None = None
    """Requests a second, at most; by default there is no such limit."""
    retry_share: Fraction = 0.2
    """Retries for each first attempt, beside ten at once and one a second that are always allowed."""
    breaker_failures: Count = 5
    """Attempts in a row without an answer, or with one of 5xx, after which it is left alone."""
    breaker_pause: Pause = duration("5s")
    """Time for which it is left alone first; it doubles with each probe that fails."""
    breaker_pause_max: Pause = duration("5m")
    """Time for which it is left alone at most."""


class Action(Section):
    """What an action of the rules does: which event it publishes, to whom, with which parameters."""

    event: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_]{0,62}:[a-z][a-z0-9_.-]{0,62}$"),
        AfterValidator(_known_kind),
        Says("webhook:NAME, http:NAME, notify:NAME or a kind that an installed package registers"),
    ]
    """Type of the event, such as `webhook:recovery`."""
    destination: Text | None = None
    """Name of the destination; only a `notify:` event goes without one."""
    template: Annotated[Mapping[str, JsonValue], AfterValidator(frozen_json), Says("a table of JSON values")] = Field(
        default_factory=empty
    )
    """Parameters that the event carries as they are."""
    four_eyes: bool | None = None
    """Whether two people have to approve it; by default `approvals.four_eyes`."""
    on_failure: Text | None = None
    """Action that follows when this one failed, at once if it may run by itself; by default a person decides."""


class Slack(Section):
    """Where `notify:` events for the channel slack go."""

    webhook_url: Annotated[SecretHttp | None, Env("SLACK_WEBHOOK_URL")] = None
    """Incoming webhook of Slack."""


class R2(Section):
    """The object store of reports: for jobs that are still to come, accepted so that environment files work."""

    endpoint: Annotated[HttpUrl | None, Env("R2_ENDPOINT")] = None
    """Address of the store's S3 interface."""
    bucket: Annotated[Text | None, Env("R2_BUCKET")] = None
    """Bucket of the reports."""
    upload_prefix: Annotated[
        str,
        Field(max_length=512, pattern=r"^[!-~]*$"),
        Says("a text in printable ASCII without spaces"),
        Env("R2_UPLOAD_PREFIX"),
    ] = ""
    """What the names of uploaded objects begin with."""
    access_key_id: Annotated[SecretText | None, Env("R2_ACCESS_KEY_ID")] = None
    """Id of the access key."""
    secret_access_key: Annotated[SecretText | None, Env("R2_SECRET_ACCESS_KEY")] = None
    """The access key."""
    max_retries: Annotated[int, Field(ge=0, le=100), Env("R2_MAX_RETRIES")] = 5
    """Retries of an upload before it is left for the next run."""
    local_fallback: Annotated[FilePath | None, Env("AGG_LOCAL_FALLBACK")] = None
    """Folder of what could not be uploaded; by default `fallback-uploads` in `stats.output_dir`."""
