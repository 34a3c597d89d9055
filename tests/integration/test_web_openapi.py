"""The published description is true: what is answered is declared, with the shape that it has."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from web_kit import LOOPBACK, PREFIX, Answer, Site, failure, listening, open_site, without_postgres

from m10actors.embedded import EmbeddedServers
from m10actors.web.apps import ADAPTERS_PREFIX, api_app
from m10actors.web.server import Listener


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_openapi") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        yield site


@pytest.fixture(scope="module")
def description(site: Site) -> dict[str, Any]:
    answer = site.api("GET", "/openapi.json")
    assert answer.status == 200
    return dict(answer.json)


def fits(description: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether a value has the shape of a schema, as far as our descriptions go."""
    match schema:
        case {"$ref": str(ref)}:
            return fits(description, description["components"]["schemas"][ref.rpartition("/")[2]], value)
        case {"anyOf": list(choices)}:
            return any(fits(description, choice, value) for choice in choices)
        case {"enum": list(words)}:
            return value in words
        case {"const": word}:
            return bool(value == word)
        case {"type": "object", "properties": dict(properties)}:
            return (
                isinstance(value, dict)
                and set(schema.get("required", ())) <= set(value) <= set(properties)
                and all(fits(description, properties[name], item) for name, item in value.items())
            )
        case {"type": "array", "items": dict(items)}:
            return isinstance(value, list) and all(fits(description, items, item) for item in value)
        case {"type": "boolean"}:
            return isinstance(value, bool)
        case {"type": "integer"}:
            return isinstance(value, int) and not isinstance(value, bool)
        case {"type": "string"}:
            return isinstance(value, str)
        case {"type": "null"}:
            return value is None
        case _:
            raise AssertionError(f"a schema that this test does not know: {schema}")


def check(description: dict[str, Any], method: str, path: str, answer: Answer) -> int:
    responses = description["paths"][path][method]["responses"]
    assert str(answer.status) in responses, f"{method} {path} answered {answer.status}, which is not declared"
    schema = responses[str(answer.status)]["content"]["application/json"]["schema"]
    assert fits(description, schema, answer.json), (schema, answer.json)
    return answer.status


def test_only_what_is_served_is_described(description: dict[str, Any]) -> None:
    assert set(description["paths"]) == {
        f"{PREFIX}/ingest",
        f"{PREFIX}/ingest/batch",
        f"{PREFIX}/approve",
        f"{PREFIX}/approve/batch",
        f"{PREFIX}/evaluate",
        f"{PREFIX}/executions/{{execution_id}}/result",
        f"{PREFIX}/candidates",
        f"{PREFIX}/candidates/{{candidate_id}}",
        f"{PREFIX}/candidates/{{candidate_id}}/explanation",
        f"{PREFIX}/stats",
        f"{PREFIX}/actions",
        f"{ADAPTERS_PREFIX}/alertmanager",
        f"{ADAPTERS_PREFIX}/sentry",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert bool(operation.get("security")) == path.startswith("/api/"), path
            assert operation.get("requestBody", {}).get("required", False) == (method == "post"), path


def test_answers_of_ingest_are_as_described(site: Site, servers: EmbeddedServers, description: dict[str, Any]) -> None:
    path, good = f"{PREFIX}/ingest", failure(failure_match_id=str(uuid.uuid4()))
    answers = [
        site.ingest(good),
        site.ingest(good),
        site.ingest(b"{"),
        site.ingest({}),
        site.ingest(b"x" * 300_000),
        site.ingest(good, content_type="text/plain"),
        site.ingest(good, host="evil.example"),
        site.ingest(good, origin="http://evil.example"),
        site.api("POST", path, good),
        site.api("POST", path, good, "ops"),
    ]
    with without_postgres(servers, site):
        answers.append(site.ingest(good))
    found = [check(description, "post", path, answer) for answer in answers]
    assert found == [202, 200, 400, 422, 413, 415, 421, 403, 401, 403, 503]


def test_answers_of_a_batch_are_as_described(site: Site, description: dict[str, Any]) -> None:
    answers = [site.ingest_batch([failure(), {}]), site.ingest_batch([]), site.ingest_batch(b"[")]
    found = [check(description, "post", f"{PREFIX}/ingest/batch", answer) for answer in answers]
    assert found == [200, 422, 400]


def test_answers_of_approve_are_as_described(site: Site, description: dict[str, Any]) -> None:
    due = site.ingest(failure(failure_match_id=str(uuid.uuid4()))).json["candidate_id"]
    answers = [
        site.approve({"candidate_id": due, "decision": "approved"}),
        site.approve({"candidate_id": 2**62, "decision": "approved"}),
        site.approve({}),
    ]
    found = [check(description, "post", f"{PREFIX}/approve", answer) for answer in answers]
    assert found == [409, 404, 422]


def test_answers_of_health_are_as_described(site: Site, description: dict[str, Any]) -> None:
    assert check(description, "get", "/healthz", site.api("GET", "/healthz")) == 200
    assert check(description, "get", "/readyz", site.api("GET", "/readyz")) == 200
    site.services.draining.set()
    assert check(description, "get", "/readyz", site.api("GET", "/readyz")) == 503
    site.services.draining.clear()
