"""What a reload replaces while the process runs: how it is decided, where actions go, what SQL is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from m10actors.application import evaluators
from m10actors.config import Settings
from m10actors.config.kinds import plain_json
from m10actors.config.outgoing import Destination as DestinationSettings
from m10actors.delivery import Condition, Deliverer, Destination, Event, Gate, Held, Limits, Outcome
from m10actors.delivery import kinds as event_kinds
from m10actors.delivery.breaker import Thresholds
from m10actors.evaluation import Rules
from m10actors.postgres.verdicts import Terms
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import Ruleset
from m10actors.rulebook import Book, configured
from m10actors.supervision.current import hold


@dataclass(frozen=True, slots=True)
class Rulings:
    """Made from settings as one, so that nobody sees the policy of one configuration with the routes of another."""

    rules: Rules
    deliverer: Deliverer
    sql_settings: Mapping[str, object]
    terms: Terms

    @classmethod
    def of(cls, settings: Settings, gate: Gate | None = None) -> "Rulings":
        """InvalidDestination for a receiver that could never be called, InvalidEventKind for a kind that is none,
        InvalidEvaluator for an evaluator that cannot be made, ConfigError for a rule file with something wrong in it.
        """
        book = Book(configured(settings.decisions))
        return cls(
            rules=Rules(
                _policy(settings),
                routes(settings),
                book=book,
                limits=settings.autonomy.limits,
                chain=evaluators.chain(settings),
            ),
            deliverer=Deliverer(_destinations(settings), hold=hold, gate=gate, kinds=event_kinds.registered()),
            sql_settings=_sql_settings(settings, book.rules),
            terms=terms(settings),
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

    def batch_size(self, event: Event) -> int:
        """See `Deliverer.batch_size`."""
        return self.now.deliverer.batch_size(event)

    def deliver_together(self, events: Sequence[Event], epoch: int) -> Sequence[Outcome | Held]:
        """See `Deliverer.deliver_together`."""
        return self.now.deliverer.deliver_together(events, epoch)

    def destinations(self) -> list[Condition]:
        """How each destination does."""
        return self.now.deliverer.conditions()

    def replace(self, rulings: Rulings) -> None:
        """Attempts under way end with the destinations that they began with."""
        former, self.now = self.now, rulings
        former.deliverer.close()
        former.rules.book.close()


def _policy(settings: Settings) -> Policy:
    return Policy(
        auto_execute=settings.decisions.auto_execute,
        min_confidence=settings.decisions.min_confidence,
        auto_confidence=settings.decisions.auto_confidence,
        destinations_for=frozenset(settings.actions),
        evaluator_enabled=settings.decisions.evaluator_enabled,
        execution_cooldown=settings.decisions.execution_cooldown,
        quiet_hours=settings.autonomy.quiet,
    )


def routes(settings: Settings) -> dict[str, dict[str, object]]:
    """What carries each action out; see `Rules`."""
    plain: dict[str, dict[str, object]] = {
        code: {
            "event": action.event,
            "destination": action.destination,
            "template": plain_json(action.template),
            "four_eyes": code in settings.four_eyes(),
        }
        for code, action in settings.actions.items()
    }
    return {
        code: route | {"follows": [{"action": later, **plain[later]} for later in settings.followers(code)]}
        for code, route in plain.items()
    }


def terms(settings: Settings) -> Terms:
    """How a person's approval counts."""
    return Terms(settings.approvals.expires, settings.approvals.own)


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
            batch=given.batch,
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
        breaker=Thresholds(
            given.breaker_failures, given.breaker_pause.total_seconds(), given.breaker_pause_max.total_seconds()
        ),
    )


def _sql_settings(settings: Settings, rules: Ruleset) -> dict[str, object]:
    outbox = settings.outbox
    return {
        "recheck_thresholds": list(rules.recheck_thresholds),
        "rules_version": rules.version,
        "rate_windows": [window // timedelta(seconds=1) for window, _ in rules.rate_levels],
        "rate_levels": [level for _, level in rules.rate_levels],
        "reopen_after": _interval(settings.decisions.reopen_after),
        "verify_window": _interval(settings.decisions.verify_window),
        "result_timeout": _interval(settings.decisions.result_timeout),
        "attempt_budget": settings.decisions.attempt_budget,
        "max_retries": outbox.max_retries,
        "retry_schedule": [_interval(delay) for delay in outbox.schedule] or ["0 s"],
        "retry_jitter": outbox.jitter,
        "event_max_age": _interval(outbox.max_age),
        "claim_takeover": _interval(outbox.claim_takeover),
        "autonomy": {
            "auto_execute": settings.decisions.auto_execute,
            "four_eyes": sorted(settings.four_eyes()),
            **settings.autonomy.for_sql(),
        },
    }


def _interval(duration: timedelta) -> str:
    return f"{duration.total_seconds():f} s"
