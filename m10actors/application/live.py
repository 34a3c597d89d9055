"""What a reload replaces while the process runs: how it is decided, where actions go, what SQL is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from m10actors.config import Settings
from m10actors.config.outgoing import Destination as DestinationSettings
from m10actors.delivery import Condition, Deliverer, Destination, Event, Gate, Held, Limits, Outcome
from m10actors.delivery import kinds as event_kinds
from m10actors.delivery.breaker import Thresholds
from m10actors.evaluation import Rules
from m10actors.recovery.decision import Policy
from m10actors.recovery.rules import CONTRACT_RULES, recheck_thresholds
from m10actors.supervision.current import hold


@dataclass(frozen=True, slots=True)
class Rulings:
    """Made from settings as one, so that nobody sees the policy of one configuration with the routes of another."""

    rules: Rules
    deliverer: Deliverer
    sql_settings: Mapping[str, object]

    @classmethod
    def of(cls, settings: Settings, gate: Gate | None = None) -> "Rulings":
        """InvalidDestination for a receiver that could never be called, InvalidEventKind for a kind that is none."""
        return cls(
            rules=Rules(_policy(settings), _routes(settings)),
            deliverer=Deliverer(_destinations(settings), hold=hold, gate=gate, kinds=event_kinds.registered()),
            sql_settings=_sql_settings(settings),
        )


class Live:
    """The present rulings. Whoever uses them asks for them anew for each piece of work, and keeps them through it.

    `gate` is what is known of each destination; it stays.
    """

    def __init__(self, settings: Settings) -> None:
        self.gate = Gate(settings.outbox.max_concurrent_http)
        self.now = self.rulings(settings)

    def rulings(self, settings: Settings) -> Rulings:
        """Those that `settings` make; see `Rulings.of`."""
        return Rulings.of(settings, self.gate)

    def rules(self) -> Rules:
        return self.now.rules

    def deliver(self, event: Event, epoch: int) -> Outcome | Held:
        """See `Deliverer.deliver`."""
        return self.now.deliverer.deliver(event, epoch)

    def destinations(self) -> list[Condition]:
        """How each destination does."""
        return self.now.deliverer.conditions()

    def replace(self, rulings: Rulings) -> None:
        """Attempts under way end with the destinations that they began with."""
        former, self.now = self.now, rulings
        former.deliverer.close()


def _policy(settings: Settings) -> Policy:
    return Policy(
        auto_execute=settings.decisions.auto_execute,
        min_confidence=settings.decisions.min_confidence,
        auto_confidence=settings.decisions.auto_confidence,
        destinations_for=frozenset(settings.actions),
        evaluator_enabled=settings.decisions.evaluator_enabled,
        execution_cooldown=settings.decisions.execution_cooldown,
    )


def _routes(settings: Settings) -> dict[str, dict[str, object]]:
    return {
        code: {"event": action.event, "destination": action.destination, "template": plain(action.template)}
        for code, action in settings.actions.items()
    }


def _destinations(settings: Settings) -> dict[str, Destination]:
    made = {
        name: Destination(
            name=name,
            url=given.url.get_secret_value(),
            timeout=given.timeout or settings.outbox.http_timeout,
            headers={header: value.get_secret_value() for header, value in given.headers.items()},
            secrets=tuple(secret.get_secret_value() for secret in given.secrets),
            on_conflict=given.on_conflict,
            allow_networks=given.allow_networks,
            allow_http=given.allow_http,
            limits=_limits(settings, given),
        )
        for name, given in settings.destinations.items()
    }
    if settings.slack.webhook_url is not None and "slack" not in made:
        made["slack"] = Destination(
            name="slack", url=settings.slack.webhook_url.get_secret_value(), timeout=settings.outbox.http_timeout
        )
    return made


def _limits(settings: Settings, given: DestinationSettings) -> Limits:
    """Of several destinations, one alone takes half of the workers at most: the others are never behind it."""
    workers = settings.outbox.max_concurrent_http
    share = workers if len(settings.destinations) == 1 else ceil(workers / 2)
    return Limits(
        concurrency=min(given.concurrency or share, workers),
        rate=given.rate,
        retry_share=given.retry_share,
        breaker=Thresholds(given.breaker_failures, given.breaker_pause.total_seconds()),
    )


def _sql_settings(settings: Settings) -> dict[str, object]:
    outbox = settings.outbox
    return {
        "recheck_thresholds": list(recheck_thresholds(CONTRACT_RULES)),
        "reopen_after": _interval(settings.decisions.reopen_after),
        "max_retries": outbox.max_retries,
        "retry_schedule": [_interval(delay) for delay in outbox.schedule] or ["0 s"],
        "retry_jitter": outbox.jitter,
        "event_max_age": _interval(outbox.max_age),
        "claim_takeover": _interval(outbox.claim_takeover),
    }


def _interval(duration: timedelta) -> str:
    return f"{duration.total_seconds():f} s"


def plain(value: object) -> object:
    """A frozen JSON value as dicts and lists."""
    match value:
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case _:
            return value
