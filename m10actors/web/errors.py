"""Every error answer has one shape, `{"error", "message", "problems"}`; none repeats a value of the request."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from m10actors import logs
from m10actors.postgres.errors import StoreError, StoreRefused, StoreUnavailable
from m10actors.recovery.problems import Code, InvalidFailure
from m10actors.web.validation import problems_of

log = logs.logger(__name__)

RETRY_AFTER_SECONDS = 2
_NOT_JSON = {Code.INVALID_JSON, Code.INVALID_UNICODE, Code.INVALID_TEXT, Code.TOO_DEEP}


class ProblemBody(BaseModel):
    """One thing wrong with a request; `field` is its JSON path, empty for the request as a whole."""

    code: str
    field: str
    message: str


class ErrorBody(BaseModel):
    """Why a request was not done."""

    error: str
    message: str
    problems: list[ProblemBody] = []


class Refusal(Exception):
    """The request is answered with an error of this status."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        *,
        problems: Sequence[ProblemBody] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = ErrorBody(error=error, message=message, problems=list(problems))

    def response(self) -> JSONResponse:
        return JSONResponse(self.body.model_dump(), self.status, self.headers)


def try_later(status: int, error: str, message: str) -> Refusal:
    """A refusal that says when to ask again."""
    return Refusal(status, error, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def declared(*statuses: int) -> dict[int | str, dict[str, object]]:
    """These statuses, for the `responses` of a route."""
    return {status: {"model": ErrorBody} for status in statuses}


def problem_bodies(error: InvalidFailure) -> list[ProblemBody]:
    return [ProblemBody(code=p.code, field=p.field, message=p.message) for p in error.problems]


def add_error_handlers(app: FastAPI) -> None:
    """Turns what handlers raise into answers."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(InvalidFailure, _invalid)
    app.add_exception_handler(RequestValidationError, _bad_parameters)
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidFailure)
    return invalid(error).response()


async def _bad_parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(InvalidFailure(*problems_of(error.errors()))).response()


def invalid(error: InvalidFailure) -> Refusal:
    """413 for too much, 400 for what is no JSON at all, 422 for JSON that says something wrong."""
    first, problems = error.problems[0], problem_bodies(error)
    if first.code is Code.TOO_LARGE:
        return Refusal(413, "too_large", "the body is too large", problems=problems)
    if first.code in _NOT_JSON and not first.field:
        return Refusal(400, "not_json", "the body is not JSON that can be read", problems=problems)
    return Refusal(422, "invalid", "the request cannot be taken as it is", problems=problems)


async def _store_error(request: Request, error: Exception) -> Response:
    """503 unless the data is at fault. The database's own words stay in the log: they may quote a value."""
    match error:
        case StoreRefused():
            log.warning("store_refused", path=request.url.path, sqlstate=error.sqlstate)
            return Refusal(422, "store_refused", f"PostgreSQL refused the data ({error.sqlstate})").response()
        case StoreUnavailable():
            return try_later(503, "unavailable", "PostgreSQL cannot store it at the moment").response()
        case _:
            log.error("store_failed", path=request.url.path, error=type(error).__name__)
            return try_later(503, "misconfigured", "PostgreSQL does not let this service do it").response()


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    match error.status_code:
        case 404:
            refusal = Refusal(404, "not_found", "there is nothing at this path")
        case 405:
            refusal = Refusal(405, "method_not_allowed", "the path is right, the method is not", headers=error.headers)
        case status:
            refusal = Refusal(status, "refused", "the request cannot be served", headers=error.headers)
    return refusal.response()


async def _gone(_: Request, __: Exception) -> Response:
    """Nobody is there to read it."""
    return Response(status_code=400)


async def _bug(_: Request, __: Exception) -> Response:
    """Starlette raises the error again behind this answer, so that it is logged."""
    return Refusal(500, "internal", "the request failed; the log says why").response()
