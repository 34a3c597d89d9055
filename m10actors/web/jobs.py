"""Operations jobs: when each is due, how it went last, and running one now."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict

from m10actors.ops.desk import JobsNotRunning, JobState
from m10actors.ops.runner import Ran
from m10actors.postgres.verdicts import Person
from m10actors.web.access import Caller
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import Refusal, declared
from m10actors.web.pausing import Name
from m10actors.web.schemas import accepts
from m10actors.web.services import Services
from m10actors.web.validation import read

_MAX_BODY = 16 * 1024


class RunRequest(BaseModel):
    """`job` is to be run now. `by`: who the sender says asks for it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    job: Name
    by: Name | None = None


class JobStates(BaseModel):
    """All jobs, in their order."""

    jobs: list[JobState]


def job_routes(services: Services, operator: Callable[..., Awaitable[Caller]]) -> APIRouter:
    """`/jobs` and `/jobs/run`, each for an `operator`."""
    routes = APIRouter()
    Operator = Annotated[Caller, Depends(operator)]  # noqa: N806
    ABody = Annotated[Body, Depends(body_of(Inflow(64 * _MAX_BODY), _MAX_BODY, JSON))]  # noqa: N806

    @routes.get("/jobs", dependencies=[Depends(operator)], responses=declared(503))
    async def jobs() -> JobStates:
        """Schedule, next and last run of each job."""
        return JobStates(jobs=await run_in_threadpool(services.jobs.states, services.operations_database))

    @routes.post(
        "/jobs/run",
        responses=declared(400, 404, 408, 409, 413, 415, 422, 429, 503),
        openapi_extra=accepts({JSON: RunRequest.model_json_schema()}),
    )
    async def run(caller: Operator, body: ABody) -> Ran:
        """Runs a job now, unless another process does; what it did, or that it is still under way."""
        request = read(RunRequest, body.raw, max_bytes=_MAX_BODY)
        if request.job not in services.jobs.planned:
            raise Refusal(404, "no_such_job", f"there is no such job, but: {', '.join(services.jobs.planned)}")
        return await run_in_threadpool(_run, services, request.job, Person(caller.name, request.by).named)

    return routes


def _run(services: Services, job: str, by: str) -> Ran:
    try:
        return services.jobs.run(job, by)
    except JobsNotRunning as error:
        raise Refusal(409, "jobs_not_running", str(error)) from error
