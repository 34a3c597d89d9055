"""Pydantic's complaints in the words of `recovery.problems`, without the values that it complains about."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from m10actors.recovery.decoding import decode
from m10actors.recovery.problems import Code, InvalidFailure, Problem

M = TypeVar("M", bound=BaseModel)

_SHOWN_NAME = 40
_CODES = {
    "missing": Code.MISSING_FIELD,
    "extra_forbidden": Code.UNKNOWN_FIELD,
    "model_type": Code.OBJECT_EXPECTED,
    "string_too_short": Code.MISSING_FIELD,
    "string_too_long": Code.TOO_LONG,
    "greater_than_equal": Code.OUT_OF_RANGE,
    "less_than_equal": Code.OUT_OF_RANGE,
    "literal_error": Code.OUT_OF_RANGE,
    "value_error": Code.INVALID_TEXT,
}
_SENTENCES = {"missing": "is missing", "extra_forbidden": "is unknown"}
"""As those say it who check a failure."""


def read(model: type[M], raw: bytes, *, max_bytes: int) -> M:
    """The JSON object `raw` as a `model`; InvalidFailure with all that is wrong with it."""
    return checked(model, decode(raw, max_bytes=max_bytes))


def checked(model: type[M], value: object) -> M:
    """The JSON value as a `model`; InvalidFailure with all that is wrong with it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidFailure(*problems_of(error.errors(include_url=False, include_input=False))) from None


def problems_of(errors: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """One problem for each error of pydantic."""
    return [
        Problem(
            _CODES.get(error["type"], Code.INVALID_TYPE),
            _path(error["loc"]),
            _SENTENCES.get(error["type"]) or _sentence(error["msg"]),
        )
        for error in errors
    ]


def _path(loc: Iterable[str | int]) -> str:
    """ASCII without control characters: a step may be a name that the caller made up."""
    steps = [str(step)[:_SHOWN_NAME] for step in loc if step not in {"body", "query", "path"}]
    return ".".join(step if step.isascii() and step.isprintable() else ascii(step) for step in steps)


def _sentence(text: str) -> str:
    return text.removeprefix("Value error, ").replace("Input should be", "should be", 1)
