"""Values as JSON for PostgreSQL."""

import json

from pydantic_core import PydanticSerializationError, to_json


def json_bytes(value: object) -> bytes:
    """The JSON, in UTF-8, of what `json.dumps` takes, in a fifth of its time; what PostgreSQL will not store (NUL, half
    a surrogate pair, NaN) stays in it, for PostgreSQL to refuse.
    """
    try:
        return to_json(value)
    except PydanticSerializationError:  # half a surrogate pair, or nested deeper than it goes
        return json.dumps(value).encode()
