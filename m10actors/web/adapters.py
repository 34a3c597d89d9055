"""Webhooks of other systems come in as failures."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, assert_never

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from m10actors import metrics
from m10actors.adapters import alertmanager, sentry
from m10actors.adapters.reading import Ignored, Reading
from m10actors.ingest import Ingest, Receipt
from m10actors.postgres.errors import DataRefused
from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import Failure
from m10actors.recovery.problems import InvalidFailure
from m10actors.web.access import Caller, Credentials, Doorkeeper, unauthorized
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import declared
from m10actors.web.ingest import RejectedItem, StoredItem, item_of
from m10actors.web.schemas import NOTIFICATION, SENTRY_HOOK, accepts
from m10actors.web.services import Services, Webhooks

_ERRORS = declared(400, 401, 403, 408, 413, 415, 421, 422, 429, 503)
_SCOPE = "recovery:write"
_Signature = Annotated[str | None, Header(alias="Sentry-Hook-Signature")]


class IgnoredItem(BaseModel):
    """Something that is no failure, and why."""

    index: int
    status: Literal["ignored"] = "ignored"
    reason: str


class AdapterAnswer(BaseModel):
    """An outcome for each alert or event, in order. What is neither rejected nor ignored is stored."""

    accepted: int
    duplicates: int
    rejected: int
    ignored: int
    items: list[StoredItem | RejectedItem | IgnoredItem]


def adapter_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`POST /alertmanager` and `POST /sentry`."""
    routes = APIRouter(tags=["adapters"], responses=_ERRORS)
    limit, webhooks = services.limits.max_batch_bytes, services.webhooks
    ABody = Annotated[Body, Depends(body_of(Inflow(services.limits.max_in_flight_bytes), limit, JSON))]  # noqa: N806
    WriteToken = Annotated[Caller, Depends(door.needs(_SCOPE))]  # noqa: N806

    async def sender(request: Request, credentials: Credentials, signature: _Signature = None) -> Caller | None:
        """Whoever has the token; None where the signature is to tell, once the body is read."""
        if credentials is None and signature is not None and webhooks.sentry_secret is not None:
            return None
        return await door.admit(request, credentials, _SCOPE)

    Sender = Annotated[Caller | None, Depends(sender)]  # noqa: N806

    @routes.post("/alertmanager", openapi_extra=accepts({JSON: NOTIFICATION}))
    async def from_alertmanager(caller: WriteToken, body: ABody) -> AdapterAnswer:
        """Each firing alert of a notification as a failure; what comes again at `repeat_interval` counts once."""
        readings = alertmanager.readings(_decoded(body, limit), webhooks.incident_label)
        return await run_in_threadpool(_accept, services.ingest, readings, caller.name)

    @routes.post("/sentry", openapi_extra=accepts({JSON: SENTRY_HOOK}))
    async def from_sentry(
        sender: Sender, body: ABody, sentry_hook_resource: Annotated[str, Header()], signature: _Signature = None
    ) -> AdapterAnswer:
        """The event of an issue alert, or an error or issue that was created, as a failure."""
        caller = sender or door.counted(_signer(webhooks, body, signature))
        reading = sentry.reading(_decoded(body, limit), sentry_hook_resource, webhooks.incident_label)
        return await run_in_threadpool(_accept, services.ingest, [reading], caller.name)

    return routes


def _signer(webhooks: Webhooks, body: Body, signature: str | None) -> Caller:
    """Sentry, which can send no token and signs instead; 401 for anybody else."""
    if not sentry.signature_fits(body.raw, signature or "", webhooks.sentry_secret or ""):
        raise unauthorized("the signature is not that of the body", 'Bearer realm="m10"')
    return Caller(webhooks.sentry_name)


def _decoded(body: Body, limit: int) -> object:
    return decode(body.raw, max_bytes=limit, unique_keys=False, check_contents=False)


def _accept(ingest: Ingest, readings: Sequence[Reading], by: str) -> AdapterAnswer:
    stored = iter(ingest.accept_each([each for each in readings if isinstance(each, Failure)], by))
    items = [_item(index, each, stored) for index, each in enumerate(readings)]
    counts = {status: sum(item.status == status for item in items) for status in ("accepted", "rejected", "ignored")}
    metrics.INGEST.labels("rejected", "").inc(counts["rejected"])
    return AdapterAnswer(**counts, duplicates=len(items) - sum(counts.values()), items=items)


def _item(
    index: int, each: Reading, stored: Iterator[Receipt | DataRefused]
) -> StoredItem | RejectedItem | IgnoredItem:
    match each:
        case Failure():
            return item_of(index, next(stored))
        case Ignored(reason):
            return IgnoredItem(index=index, reason=reason)
        case InvalidFailure():
            return item_of(index, each)
        case _:
            assert_never(each)
