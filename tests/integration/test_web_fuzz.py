"""Whatever is sent, the API answers as its description says, and never with a 5xx."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from web_kit import LOOPBACK, PATIENCE, Site, failure, listening, open_site

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import tokens
from m10actors.web.apps import api_app
from m10actors.web.server import Listener

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
OPERATIONS = [
    "POST /api/v1/recovery/ingest",
    "POST /api/v1/recovery/ingest/batch",
    "POST /api/v1/recovery/approve",
    "POST /api/v1/recovery/approve/batch",
    "POST /api/v1/recovery/evaluate",
    "POST /api/v1/recovery/executions/{execution_id}/result",
    "GET /api/v1/recovery/candidates",
    "GET /api/v1/recovery/candidates/{candidate_id}",
    "GET /api/v1/recovery/candidates/{candidate_id}/explanation",
    "GET /api/v1/recovery/stats",
    "GET /api/v1/recovery/actions",
    "POST /api/v1/adapters/alertmanager",
    "POST /api/v1/adapters/sentry",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
]
NO_HTTP = "Invalid HTTP request received."
"""What uvicorn says of a request that is none, with 400, before there is an operation: a length that is no number."""
BOUNDED = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def site(servers: EmbeddedServers) -> Iterator[Site]:
    with (
        open_site(servers.start(), "web_fuzz", patience=PATIENCE) as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        site.token["all"] = tokens.create(site.ops_database, "all", tokens.SCOPES)
        site.ingest_batch([failure("a"), failure("b"), failure("c", "UNKNOWN")])  # so that there is something to find
        yield site


@pytest.fixture(scope="module")
def described(site: Site) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"http://{site.addresses['api']}/openapi.json")


def test_every_operation_is_tried(described: schemathesis.BaseSchema) -> None:
    assert sorted(result.ok().label for result in described.get_all_operations()) == sorted(OPERATIONS)


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.startswith(("POST", "GET /api"))])
def test_every_answer_is_as_described(
    site: Site, described: schemathesis.BaseSchema, operation: str, mode: GenerationMode
) -> None:
    method, path = operation.split()

    @BOUNDED
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def whatever_is_sent(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {site.token['all']}"})
        if answer.text != NO_HTTP:
            case.validate_response(answer, checks=CHECKS)

    whatever_is_sent()
