"""What can be wrong with a reported failure, as a closed set of codes."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Why an input was refused. Stable: clients and metrics read these names."""

    INVALID_JSON = "invalid_json"
    INVALID_TEXT = "invalid_text"
    INVALID_UNICODE = "invalid_unicode"
    INVALID_NUMBER = "invalid_number"
    INVALID_TYPE = "invalid_type"
    INVALID_UUID = "invalid_uuid"
    INVALID_TIMESTAMP = "invalid_timestamp"
    OUT_OF_RANGE = "out_of_range"
    OBJECT_EXPECTED = "object_expected"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    TOO_MANY_KEYS = "too_many_keys"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input.

    `field` is its JSON path, empty for the input as a whole. No value of the input is repeated in either text.
    """

    code: Code
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.field} {self.message}" if self.field else f"{self.code}: {self.message}"


class InvalidFailure(ValueError):
    """The input is no failure that can be stored; `problems` says everything that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
