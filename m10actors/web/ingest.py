"""Reported failures come in: one at a time, or as a batch with an outcome for each item."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from m10actors import metrics
from m10actors.ingest import Ingest, Receipt
from m10actors.postgres.errors import DataRefused
from m10actors.recovery.decoding import decode, decode_batch
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.problems import Code, InvalidFailure, Problem
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.bodies import JSON, NDJSON, Body, Inflow, body_of
from m10actors.web.errors import ProblemBody, declared, problem_bodies
from m10actors.web.schemas import FAILURE, FAILURES, accepts
from m10actors.web.services import Limits, Services

_ERRORS = declared(400, 401, 403, 408, 413, 415, 421, 422, 429, 503)
_LINES = {"type": "string", "description": "one failure a line"}


class Answer(BaseModel):
    """What became of a failure: `accepted` opened a candidate, `duplicate` folded into one."""

    candidate_id: int
    status: Literal["accepted", "duplicate"]
    message: str
    is_duplicate: bool
    failure_match_id: UUID
    occurrence_count: int
    counted: bool


class StoredItem(Answer):
    """An item of a batch that was stored; `index` is its place there, from 0 (of NDJSON: among the lines not blank)."""

    index: int


class RejectedItem(BaseModel):
    """An item of a batch that was not stored, and why."""

    index: int
    status: Literal["rejected"] = "rejected"
    problems: list[ProblemBody]


class BatchAnswer(BaseModel):
    """An outcome for each item, in order. What is not rejected is stored."""

    accepted: int
    duplicates: int
    rejected: int
    items: list[StoredItem | RejectedItem]


def ingest_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`POST /ingest` and `POST /ingest/batch`."""
    routes = APIRouter(tags=["ingest"])
    limits, inflow = services.limits, Inflow(services.limits.max_in_flight_bytes)
    WriteToken = Annotated[Caller, Depends(door.needs("recovery:write"))]  # noqa: N806
    One = Annotated[Body, Depends(body_of(inflow, limits.max_body, JSON))]  # noqa: N806
    Many = Annotated[Body, Depends(body_of(inflow, limits.max_batch_bytes, JSON, NDJSON))]  # noqa: N806

    @routes.post(
        "/ingest",
        status_code=202,
        responses={200: {"model": Answer}, **_ERRORS},
        openapi_extra=accepts({JSON: FAILURE}),
    )
    async def ingest(caller: WriteToken, body: One, response: Response) -> Answer:
        """Reports a failure: 202 opened a candidate, 200 folded into a known one."""
        receipt = await run_in_threadpool(_accept_one, services.ingest, body, limits, caller.name)
        response.status_code = 202 if receipt.opened else 200
        return Answer.model_validate(_fields(receipt))

    @routes.post("/ingest/batch", responses=_ERRORS, openapi_extra=accepts({JSON: FAILURES, NDJSON: _LINES}))
    async def ingest_batch(caller: WriteToken, body: Many) -> BatchAnswer:
        """Reports a batch as a JSON array or NDJSON: 200 with an outcome for each item."""
        return await run_in_threadpool(_accept_batch, services.ingest, body, limits, caller.name)

    return routes


def _accept_one(ingest: Ingest, body: Body, limits: Limits, by: str) -> Receipt:
    try:
        failure = parse(decode(body.raw, max_bytes=limits.max_body))
    except InvalidFailure:
        metrics.INGEST.labels("rejected", "").inc()
        raise
    return ingest.accept([failure], by)[0]


def _accept_batch(ingest: Ingest, body: Body, limits: Limits, by: str) -> BatchAnswer:
    parsed = _parse_batch(body, limits)
    stored = iter(ingest.accept_each([item for item in parsed if isinstance(item, Failure)], by))
    outcomes = [next(stored) if isinstance(item, Failure) else item for item in parsed]
    items = [item_of(index, outcome) for index, outcome in enumerate(outcomes)]
    rejected = sum(isinstance(item, RejectedItem) for item in items)
    opened = sum(item.status == "accepted" for item in items)
    metrics.INGEST.labels("rejected", "").inc(rejected)
    return BatchAnswer(accepted=opened, duplicates=len(items) - opened - rejected, rejected=rejected, items=items)


def _parse_batch(body: Body, limits: Limits) -> list[Failure | InvalidFailure]:
    """Each item as a failure or as what is wrong with it; raises where the body is no batch at all."""
    if body.media_type == JSON:
        items = decode_batch(body.raw, max_bytes=limits.max_batch_bytes, max_items=limits.max_batch_items)
        return [_parse(item) for item in items]
    lines = [line for line in body.raw.split(b"\n") if line.strip()]
    if not 1 <= len(lines) <= limits.max_batch_items:
        text = f"a batch has 1 .. {limits.max_batch_items} items, this one has {len(lines)}"
        raise InvalidFailure(Problem(Code.OUT_OF_RANGE, "", text))
    return [_parse_line(line, limits) for line in lines]


def _parse_line(line: bytes, limits: Limits) -> Failure | InvalidFailure:
    try:
        return _parse(decode(line, max_bytes=limits.max_body, unique_keys=False))
    except InvalidFailure as invalid:
        return invalid


def _parse(item: object) -> Failure | InvalidFailure:
    try:
        return parse(item)
    except InvalidFailure as invalid:
        return invalid


def item_of(index: int, outcome: Receipt | InvalidFailure | DataRefused) -> StoredItem | RejectedItem:
    """The outcome of an item, as the answer says it."""
    match outcome:
        case Receipt():
            return StoredItem.model_validate({"index": index, **_fields(outcome)})
        case InvalidFailure():
            return RejectedItem(index=index, problems=problem_bodies(outcome))
        case DataRefused():
            problem = ProblemBody(code="store_refused", field="", message=f"PostgreSQL refused it ({outcome.sqlstate})")
            return RejectedItem(index=index, problems=[problem])


def _fields(receipt: Receipt) -> dict[str, object]:
    return {
        "candidate_id": receipt.candidate_id,
        "status": receipt.status,
        "message": receipt.message,
        "is_duplicate": not receipt.opened,
        "failure_match_id": receipt.failure_match_id,
        "occurrence_count": receipt.occurrence_count,
        "counted": receipt.counted,
    }
