"""The supervision tree: one table per supervisor and per child, under its id."""

from typing import Annotated, Literal

from pydantic import Field

from m10actors.config.durations import duration
from m10actors.config.kinds import Duration, Section


class SupervisorKnobs(Section):
    """How a supervisor restarts."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"] = "one_for_one"
    """Which children are restarted with one that failed."""
    intensity: Annotated[int, Field(ge=0, le=1000)] = 3
    """Restarts within `period` after which the supervisor itself gives up."""
    period: Duration = duration("60s")
    """Time in which restarts are counted."""
    backoff: Duration = duration("100ms")
    """Pause before the second restart of a child in `period` (the first is at once); it doubles each time."""
    backoff_max: Duration = duration("5s")
    """Longest pause before a restart."""


class ChildKnobs(Section):
    """How a child ends and when it counts as stuck."""

    shutdown: Duration = duration("5s")
    """Time that it has to end when it is asked to."""
    start_timeout: Duration = duration("30s")
    """Time that it has to start."""
    stall_after: Duration | None = None
    """Time without progress after which it is replaced; by default longer than a call to PostgreSQL."""


class PolledChildKnobs(ChildKnobs):
    """A child whose period is set here; the others follow a setting of their section."""

    poll: Duration = duration("5s")
    """Longest pause between two rounds of its work."""


def _leadership() -> SupervisorKnobs:
    return SupervisorKnobs(strategy="rest_for_one")


def _prober() -> PolledChildKnobs:
    return PolledChildKnobs(poll=duration("1s"))


class Tree(Section):
    """Supervisors and children by id."""

    root: SupervisorKnobs = SupervisorKnobs()
    http_endpoint: PolledChildKnobs = PolledChildKnobs()
    substrate: SupervisorKnobs = SupervisorKnobs()
    postgres_monitor: PolledChildKnobs = Field(default_factory=_prober)
    redis_monitor: PolledChildKnobs = Field(default_factory=_prober)
    pause_monitor: PolledChildKnobs = Field(default_factory=_prober)
    lease_keeper: ChildKnobs = ChildKnobs()
    metrics_collector: ChildKnobs = ChildKnobs()
    leadership: SupervisorKnobs = Field(default_factory=_leadership)
    outbox_leader: ChildKnobs = ChildKnobs()
    delivery_workers: SupervisorKnobs = SupervisorKnobs()
    delivery_worker: PolledChildKnobs = PolledChildKnobs()
    intake: SupervisorKnobs = SupervisorKnobs()
    dead_letter_router: PolledChildKnobs = PolledChildKnobs()
    stream_reader: ChildKnobs = ChildKnobs()
    reclaimer: PolledChildKnobs = PolledChildKnobs(poll=duration("1s"))
    claim_workers: SupervisorKnobs = SupervisorKnobs()
    claim_worker: ChildKnobs = ChildKnobs()
    evaluator_dispatcher: PolledChildKnobs = PolledChildKnobs()
    evaluator_workers: SupervisorKnobs = SupervisorKnobs()
    evaluator_worker: ChildKnobs = ChildKnobs()
    maintenance: SupervisorKnobs = SupervisorKnobs()
    scheduler: PolledChildKnobs = Field(default_factory=_prober)
    job_runner: PolledChildKnobs = PolledChildKnobs()
