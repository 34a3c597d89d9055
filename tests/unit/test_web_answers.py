"""What the web decides without a socket: readiness, who has decided, which status bad input gets."""

from dataclasses import replace

import pytest
from pydantic import BaseModel, ConfigDict

from m10actors.postgres.verdicts import Person
from m10actors.recovery.dependency import Condition
from m10actors.recovery.problems import Code, InvalidFailure, Problem
from m10actors.supervision import ChildState, Phase
from m10actors.web.errors import invalid
from m10actors.web.health import ReadyStatus, readiness
from m10actors.web.validation import read

UP, DOWN, UNKNOWN = Condition.UP, Condition.DOWN, Condition.UNKNOWN
TREE = ChildState("root", "supervisor", Phase.RUNNING, 0, None, 1.0, 1.0, 0, "")


@pytest.mark.parametrize(
    ("tree", "draining", "postgres", "redis", "status"),
    [
        (TREE, False, UP, UP, ReadyStatus.READY),
        (TREE, False, UP, DOWN, ReadyStatus.DEGRADED),
        (TREE, False, UP, UNKNOWN, ReadyStatus.DEGRADED),
        (TREE, False, DOWN, UP, ReadyStatus.NOT_READY),
        (TREE, False, UNKNOWN, UP, ReadyStatus.NOT_READY),
        (TREE, True, UP, UP, ReadyStatus.NOT_READY),
        (None, False, UP, UP, ReadyStatus.NOT_READY),
        (replace(TREE, phase=Phase.STARTING), False, UP, UP, ReadyStatus.NOT_READY),
        (replace(TREE, phase=Phase.STOPPING), False, UP, UP, ReadyStatus.NOT_READY),
    ],
)
def test_ready_is_a_tree_that_is_up_and_not_drained_and_has_postgres(
    tree: ChildState | None, draining: bool, postgres: Condition, redis: Condition, status: ReadyStatus
) -> None:
    found = readiness(tree, draining=draining, postgres=postgres, redis=redis)
    assert found.status is status
    assert bool(found.reasons) is (status is not ReadyStatus.READY)


def test_every_reason_is_given() -> None:
    assert len(readiness(None, draining=True, postgres=DOWN, redis=DOWN).reasons) == 3


@pytest.mark.parametrize(("claim", "by"), [(None, "bridge"), ("bridge", "bridge"), ("alice", "bridge (claims: alice)")])
def test_a_claim_stands_beside_the_name_of_the_token(claim: str | None, by: str) -> None:
    assert Person("bridge", claim).named == by


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (Problem(Code.INVALID_JSON, "", "x"), 400),
        (Problem(Code.INVALID_UNICODE, "", "x"), 400),
        (Problem(Code.INVALID_UNICODE, "failure_payload.raw", "x"), 422),
        (Problem(Code.OBJECT_EXPECTED, "", "x"), 422),
        (Problem(Code.TOO_LARGE, "", "x"), 413),
    ],
)
def test_bad_input_is_400_413_or_422(problem: Problem, status: int) -> None:
    assert invalid(InvalidFailure(problem)).status == status


class Sample(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    number: int


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b"{}", Code.MISSING_FIELD, "number"),
        (b'{"number": "SECRET"}', Code.INVALID_TYPE, "number"),
        (b'{"number": 1, "a\\nb": 1}', Code.UNKNOWN_FIELD, "'a\\nb'"),
        (b"7", Code.OBJECT_EXPECTED, ""),
        (b'{"number": 1, "number": 2}', Code.DUPLICATE_KEY, "'number'"),
    ],
)
def test_a_body_that_does_not_fit_its_model_says_where_and_not_what(raw: bytes, code: Code, field: str) -> None:
    with pytest.raises(InvalidFailure) as refused:
        read(Sample, raw, max_bytes=1000)
    [problem] = refused.value.problems
    assert (problem.code, problem.field) == (code, field)
    assert "SECRET" not in str(refused.value)
