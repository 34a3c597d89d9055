"""Evaluators of the user: who they are and how they are asked."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from m10actors.config.durations import duration
from m10actors.config.kinds import Count, Duration, Says, Section, empty, frozen_json


class Evaluator(Section):
    """An evaluator of your own, asked where `decisions.evaluators` names it."""

    use: (
        Annotated[
            str,
            Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", max_length=512),
            Says("a dotted path such as my_package.model:Model"),
        ]
        | None
    ) = None
    """Where it is found, as `package.module:Class`; by default the installed package that registers it by this name."""
    options: Annotated[Mapping[str, JsonValue], AfterValidator(frozen_json), Says("a table of JSON values")] = Field(
        default_factory=empty
    )
    """What it is made with; it checks them itself. They are no secrets: name the variable that holds one."""
    batch_size: Count = 50
    """Candidates in one call, at most."""
    leased: bool = False
    """Whether it is slow (a model, an API, a person) and asked by workers of its own under a lease."""
    timeout: Duration = duration("30s")
    """Longest call of a leased one; less than `tree.evaluator_worker.stall_after`."""
    concurrency: Annotated[int, Field(ge=1, le=256)] | None = None
    """Calls of a leased one at once in this process, at most; by default as many as `intake.evaluator_workers`."""
    retries: Annotated[int, Field(ge=0, le=100)] = 5
    """Times that a leased one is asked again about a candidate on which it failed."""
    backoff: Annotated[Duration, Field(le=timedelta(days=1))] = duration("10s")
    """Pause before it is asked again; it doubles with each further time, to 1 h at most."""
    max_wait: Duration = duration("7d")
    """Time for which a leased one may put off its answer about a candidate."""
    on_failure: Literal["dead_letter", "abstain"] = "dead_letter"
    """What becomes of a candidate on which it failed for good: a dead letter, or the next evaluator's turn."""
    provenance: bool = True
    """Whether what it decides is recorded: what it saw, what it came to, and each step that followed from that at once.
    Without, there is nothing to explain or to backtest, and each evaluation writes a third less.
    """
