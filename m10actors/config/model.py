"""Settings as a whole, checked and frozen."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from m10actors.config.adapters import Adapters
from m10actors.config.durations import duration
from m10actors.config.evaluators import Evaluator
from m10actors.config.kinds import Section, empty, freeze
from m10actors.config.outgoing import R2, Action, Destination, Slack
from m10actors.config.people import Approvals, Autonomy
from m10actors.config.pipeline import Decisions, Ingest, Intake, Outbox
from m10actors.config.process import Http, Process
from m10actors.config.stores import Database, Redis
from m10actors.config.tree import ChildKnobs, PolledChildKnobs, Tree
from m10actors.config.upkeep import Jobs, Metrics, Retention, Stats

LONGEST_CALL = duration("100s")
"""Of a leased evaluator, as one expects it; past three of them its worker is replaced."""


class Settings(Section):
    """Every setting of the process; `load` makes it, and the composition root hands its values on."""

    database: Database = Database()
    redis: Redis = Redis()
    ingest: Ingest = Ingest()
    intake: Intake = Intake()
    decisions: Decisions = Decisions()
    evaluators: Annotated[Mapping[str, Evaluator], AfterValidator(freeze)] = Field(default_factory=empty)
    autonomy: Autonomy = Autonomy()
    approvals: Approvals = Approvals()
    outbox: Outbox = Outbox()
    destinations: Annotated[Mapping[str, Destination], AfterValidator(freeze)] = Field(default_factory=empty)
    actions: Annotated[Mapping[str, Action], AfterValidator(freeze)] = Field(default_factory=empty)
    slack: Slack = Slack()
    r2: R2 = R2()
    http: Http = Http()
    adapters: Adapters = Adapters()
    process: Process = Process()
    metrics: Metrics = Metrics()
    stats: Stats = Stats()
    retention: Retention = Retention()
    jobs: Jobs = Jobs()
    tree: Tree = Tree()

    @property
    def evaluator_timeout(self) -> timedelta:
        """The longest evaluation of one candidate."""
        return self.decisions.evaluator_timeout or min(self.intake.claim_idle / 10, duration("30s"))

    @property
    def upload_fallback(self) -> Path:
        """The folder of what could not be uploaded."""
        return self.r2.local_fallback or self.stats.output_dir / "fallback-uploads"

    def period(self, child_id: str) -> timedelta:
        """The longest time that the child `child_id` works or waits before it shows progress."""
        match self._child(child_id):
            case PolledChildKnobs() if child_id == "job_runner":
                return self.jobs.lock_ttl
            case PolledChildKnobs(poll=poll):
                return max(poll, self.outbox.http_timeout) if child_id == "delivery_worker" else poll
            case _:
                return {
                    "metrics_collector": self.metrics.interval,
                    "lease_keeper": self.outbox.renewal,
                    "outbox_leader": self.outbox.poll_interval,
                    "stream_reader": self.redis.block,
                    "claim_worker": max(self.intake.poll_interval, self.evaluator_timeout),
                    "evaluator_worker": LONGEST_CALL,
                }[child_id]

    def four_eyes(self) -> frozenset[str]:
        """The actions that two people have to approve."""
        usual = self.approvals.four_eyes
        return frozenset(
            code for code, action in self.actions.items() if (usual if action.four_eyes is None else action.four_eyes)
        )

    def followers(self, action: str) -> tuple[str, ...]:
        """The actions that follow `action` when it fails, and then each other; where they lead back, up to there."""
        found: list[str] = []
        given = self.actions.get(action)
        while given is not None and given.on_failure is not None and given.on_failure not in {action, *found}:
            found.append(given.on_failure)
            given = self.actions.get(given.on_failure)
        return tuple(found)

    def stall_after(self, child_id: str) -> timedelta:
        """The time without progress after which the child `child_id` is replaced."""
        call = self.database.checkout_timeout + self.database.call_timeout
        return self._child(child_id).stall_after or max(3 * self.period(child_id), call + duration("5s"))

    def _child(self, child_id: str) -> ChildKnobs:
        child = getattr(self.tree, child_id)
        if not isinstance(child, ChildKnobs):
            raise KeyError(child_id)
        return child
