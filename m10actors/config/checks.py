"""What must fit together: rules over settings that are right one by one."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from m10actors.config.addresses import TcpAddress
from m10actors.config.durations import render
from m10actors.config.model import Settings
from m10actors.config.tree import SupervisorKnobs
from m10actors.redis_address import Form, redis_address
from m10actors.supervision.backoff import Backoff, longest_wait

POOL_OVERHEAD = 3
"""Connections of the pipeline's pool beside those of claim workers: router, reclaimer and one for ingest."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Keys that do not fit together; the first is the one to name."""

    keys: tuple[str, ...]
    expected: str
    got: str


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Everything in `settings` that does not fit together."""
    for rule in _RULES:
        yield from rule(settings)


def _intake(s: Settings) -> Iterator[Conflict]:
    intake = s.intake
    if intake.batch_size > intake.batch_max:
        keys = ("intake.batch_size", "intake.batch_max")
        yield Conflict(keys, f"at most intake.batch_max, which is {intake.batch_max}", str(intake.batch_size))
    if intake.reclaim_base_backoff > intake.reclaim_max_backoff:
        yield _too_long(
            "intake.reclaim_base_backoff", intake.reclaim_base_backoff, _of(s, "intake.reclaim_max_backoff")
        )
    for key in ("intake.claim_idle", "intake.evaluation_lease", "jobs.stalled_after"):
        limit = _of(s, key)
        if limit.value <= s.evaluator_timeout:
            expected = f"more than decisions.evaluator_timeout, which is {render(s.evaluator_timeout)}"
            yield Conflict((key, "decisions.evaluator_timeout"), expected, render(limit.value))


def _evaluators(s: Settings) -> Iterator[Conflict]:
    names = s.decisions.evaluators
    if len(set(names)) < len(names):
        yield Conflict(("decisions.evaluators",), "each evaluator once", ", ".join(names))
    if "rules" in s.evaluators:
        keys = ("evaluators.rules.use", "evaluators")
        yield Conflict(keys, "another name: rules is the built-in evaluator", "evaluators.rules")
    stall = s.stall_after("evaluator_worker")
    for name, given in s.evaluators.items():
        if given.timeout >= stall:
            keys = (f"evaluators.{name}.timeout", "tree.evaluator_worker.stall_after")
            expected = f"less than tree.evaluator_worker.stall_after, which is {render(stall)}"
            yield Conflict(keys, expected, render(given.timeout))


def _pools(s: Settings) -> Iterator[Conflict]:
    needed = s.intake.claim_workers + s.intake.spare_workers + POOL_OVERHEAD
    if s.database.pool_size < needed:
        keys = ("database.pool_size", "intake.claim_workers", "intake.spare_workers")
        expected = f"at least {needed}: one per claim or spare worker and {POOL_OVERHEAD} for the others"
        yield Conflict(keys, expected, str(s.database.pool_size))


def _streams(s: Settings) -> Iterator[Conflict]:
    if s.redis.stream_key == s.redis.dead_letter_stream:
        keys = ("redis.dead_letter_stream", "redis.stream_key")
        yield Conflict(keys, "another name than redis.stream_key", repr(s.redis.dead_letter_stream))
    if redis_address(s.redis.url.get_secret_value()).form is Form.CLUSTER and s.redis.hash_tag is None:
        keys = ("redis.hash_tag", "redis.url")
        yield Conflict(keys, "a hash tag, as m10, because redis.url names a Cluster", "nothing")


def _outbox(s: Settings) -> Iterator[Conflict]:
    outbox = s.outbox
    if outbox.lock_ttl < 3 * outbox.renewal:
        expected = f"at least three times outbox.renew_every, which is {render(outbox.renewal)}"
        yield Conflict(("outbox.lock_ttl", "outbox.renew_every"), expected, render(outbox.lock_ttl))
    if len(outbox.schedule) != outbox.max_retries:
        keys = ("outbox.retry_schedule", "outbox.max_retries")
        expected = f"as many delays as outbox.max_retries, which is {outbox.max_retries}"
        yield Conflict(keys, expected, str(len(outbox.schedule)))
    if outbox.http_timeout >= outbox.claim_takeover:
        yield _too_long("outbox.http_timeout", outbox.http_timeout, _of(s, "outbox.claim_takeover"), strict=True)
    if sum(outbox.schedule, timedelta()) > outbox.max_age:
        expected = f"at least the whole retry schedule, which takes {render(sum(outbox.schedule, timedelta()))}"
        aged = ("outbox.max_age", "outbox.retry_schedule", "outbox.max_retries")
        yield Conflict(aged, expected, render(outbox.max_age))


def _ingest(s: Settings) -> Iterator[Conflict]:
    if s.ingest.max_body > s.ingest.max_batch_bytes:
        keys = ("ingest.max_body", "ingest.max_batch_bytes")
        expected = f"at most ingest.max_batch_bytes, which is {s.ingest.max_batch_bytes}"
        yield Conflict(keys, expected, str(s.ingest.max_body))


def _destinations(s: Settings) -> Iterator[Conflict]:
    for name, destination in s.destinations.items():
        table = f"destinations.{name}"
        if destination.url.get_secret_value().startswith("http:") and not destination.allow_http:
            yield Conflict((f"{table}.url", f"{table}.allow_http"), "an https address, or allow_http = true", "http")
        if destination.batch > 1 and not s.outbox.max_retries:
            expected = "1 while outbox.max_retries is 0: a batch that is refused is repeated event by event"
            yield Conflict((f"{table}.batch", "outbox.max_retries"), expected, str(destination.batch))
        if destination.timeout is not None and destination.timeout >= s.outbox.claim_takeover:
            yield _too_long(f"{table}.timeout", destination.timeout, _of(s, "outbox.claim_takeover"), strict=True)
        if destination.breaker_pause > destination.breaker_pause_max:
            longest = _Limit(f"{table}.breaker_pause_max", destination.breaker_pause_max)
            yield _too_long(f"{table}.breaker_pause", destination.breaker_pause, longest)
    slack = s.slack.webhook_url
    if slack is not None and slack.get_secret_value().startswith("http:") and "slack" not in s.destinations:
        yield Conflict(("slack.webhook_url",), "an https address, or a destination slack", "http")


def _actions(s: Settings) -> Iterator[Conflict]:
    for name, action in s.actions.items():
        keys = (f"actions.{name}.destination", "destinations")
        notifies = action.event.startswith("notify:")
        if action.destination is None and not notifies:
            yield Conflict(keys, "the name of a destination, because the event is no notify: event", "nothing")
        elif action.destination is not None and action.destination not in s.destinations:
            near = difflib.get_close_matches(action.destination, s.destinations, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(s.destinations) or 'none'}"
            yield Conflict(keys, f"the name of a destination: {hint}", repr(action.destination))
        if notifies and action.template.get("channel") == "slack" and s.slack.webhook_url is None:
            yield Conflict((f"actions.{name}.template", "slack.webhook_url"), "slack.webhook_url to be set", "nothing")
        if action.on_failure is not None:
            yield from _on_failure(s, name, action.on_failure)


def _on_failure(s: Settings, name: str, later: str) -> Iterator[Conflict]:
    keys = (f"actions.{name}.on_failure", "actions")
    if later not in s.actions:
        near = difflib.get_close_matches(later, s.actions, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(s.actions)}"
        yield Conflict(keys, f"the name of an action that is configured: {hint}", repr(later))
    elif later == name or s.actions[(name, *s.followers(name))[-1]].on_failure is not None:
        yield Conflict(keys, "actions that come to an end, not back to one before", repr(later))


def _tree(s: Settings) -> Iterator[Conflict]:
    for name in type(s.tree).model_fields:
        knobs = getattr(s.tree, name)
        if not isinstance(knobs, SupervisorKnobs):
            continue
        backoff = Backoff(knobs.backoff.total_seconds(), knobs.backoff_max.total_seconds())
        waiting = timedelta(seconds=longest_wait(backoff, knobs.intensity))
        keys = (f"tree.{name}.backoff_max", f"tree.{name}.backoff", f"tree.{name}.period", f"tree.{name}.intensity")
        if knobs.backoff > knobs.backoff_max:
            yield Conflict(
                keys, f"at least tree.{name}.backoff, which is {render(knobs.backoff)}", render(knobs.backoff_max)
            )
        elif waiting >= knobs.period:
            expected = f"waits that fit in tree.{name}.period: {knobs.intensity} restarts wait up to {render(waiting)}"
            yield Conflict(keys, expected, render(knobs.backoff_max))


def _r2(s: Settings) -> Iterator[Conflict]:
    names = ("endpoint", "bucket", "access_key_id", "secret_access_key")
    missing = [f"r2.{name}" for name in names if getattr(s.r2, name) is None]
    if 0 < len(missing) < len(names):
        yield Conflict((missing[0], *missing[1:]), "a value, because other keys of r2 are set", "nothing")


def _listeners(s: Settings) -> Iterator[Conflict]:
    bound = [("http.listen", s.http.listen), *(("http.ops_listen", address) for address in s.http.ops_listen)]
    if s.http.metrics_listen:
        bound.append(("http.metrics_listen", s.http.metrics_listen))
    taken: dict[object, str] = {}
    for key, address in bound:
        if address in taken and not (isinstance(address, TcpAddress) and address.port == 0):
            yield Conflict((key, taken[address]), f"another address than {taken[address]}", str(address))
        taken.setdefault(address, key)
        remote = isinstance(address, TcpAddress) and not address.loopback
        if remote and key != "http.metrics_listen" and not s.http.allowed_hosts:
            expected = f"the names under which {key} ({address}) is reached, because it is not on loopback"
            yield Conflict(("http.allowed_hosts", key), expected, "an empty list")


@dataclass(frozen=True, slots=True)
class _Limit:
    key: str
    value: timedelta


def _of(settings: Settings, key: str) -> _Limit:
    section, _, name = key.partition(".")
    value: timedelta = getattr(getattr(settings, section), name)
    return _Limit(key, value)


def _too_long(key: str, value: timedelta, limit: _Limit, *, strict: bool = False) -> Conflict:
    relation = "less than" if strict else "at most"
    return Conflict((key, limit.key), f"{relation} {limit.key}, which is {render(limit.value)}", render(value))


_RULES: tuple[Callable[[Settings], Iterator[Conflict]], ...] = (
    _intake,
    _evaluators,
    _pools,
    _streams,
    _outbox,
    _ingest,
    _destinations,
    _actions,
    _r2,
    _tree,
    _listeners,
)
