"""The one place that calls out: an event in, an outcome back."""

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from uuid import UUID

from m10actors import logs
from m10actors.delivery import batch
from m10actors.delivery.compose import Call, Notice, compose
from m10actors.delivery.connection import Connection, Pool, describe
from m10actors.delivery.destination import Destination
from m10actors.delivery.errors import ClosedWhileIdle, NoAnswer, NotReached, Undeliverable
from m10actors.delivery.event import Event
from m10actors.delivery.gate import Condition, Gate
from m10actors.delivery.guard import Address, AddressDenied, check
from m10actors.delivery.kinds import NO_KINDS, EventKind
from m10actors.delivery.outcome import Answer, Dead, Delivered, Held, Outcome, Retry
from m10actors.delivery.resolver import Lookup, Resolver
from m10actors.delivery.signing import signature_headers
from m10actors.delivery.wire import Deadline, Wire, connect, secure
from m10actors.recovery.hold import Hold, unheld
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)


class Deliverer:
    """Carries events to their destinations; safe to use from many threads.

    A call blocks its thread for at most the destination's timeout, all told, and no destination waits for another.
    There is no redirect, no proxy, no cookie and no decoding: one attempt is one request to a checked address. `tls`
    replaces the system's certificates (it has to verify); `lookup` and `now` stand for `getaddrinfo` and the clock.
    `hold` is entered around each attempt. `gate` outlives a deliverer, so that another configuration goes on with what
    is known of each destination. `kinds` are event kinds beside those of the contract.
    """

    def __init__(
        self,
        destinations: Mapping[str, Destination],
        *,
        tls: ssl.SSLContext | None = None,
        lookup: Lookup = socket.getaddrinfo,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        hold: Hold = unheld,
        gate: Gate | None = None,
        kinds: Mapping[str, EventKind] = NO_KINDS,
    ) -> None:
        self._destinations = dict(destinations)
        self.gate = gate or Gate()
        self._kinds = kinds
        self._pools = {name: Pool() for name in self._destinations}
        self._resolver = Resolver(lookup)
        self._given_tls = tls
        self._now = now
        self._hold = hold

    def deliver(self, event: Event, epoch: int) -> Outcome | Held:
        """One attempt. `epoch` is that of the leader's lease; a receiver that has seen a newer one may answer 412.

        Where the destination takes none now, the event comes back at once as Held.
        """
        [outcome] = self.deliver_together([event], epoch)
        return outcome

    def deliver_together(self, events: Sequence[Event], epoch: int) -> list[Outcome | Held]:
        """One attempt at each: several only as `batch_size` allows. One request, where their destination takes them in
        batches.
        """
        calls: list[tuple[Event, Call]] = []
        ended: dict[int, Outcome | Held] = {}
        for event in events:
            composed = self._composed(event)
            if isinstance(composed, Call):
                calls.append((event, composed))
            else:
                ended[event.id] = composed
        if calls:
            ended |= zip((event.id for event, _ in calls), self._through_gate(calls, epoch), strict=True)
        return [ended[event.id] for event in events]

    def batch_size(self, event: Event) -> int:
        """How many events of the destination that this one names may share its request, itself included."""
        if not batch.goes_together(event):
            return 1
        named = self._destinations.get(event.destination or "")
        return named.batch if named is not None else 1

    def conditions(self) -> list[Condition]:
        """How each destination does, by name."""
        return [self.gate.condition(name, each.limits) for name, each in sorted(self._destinations.items())]

    def close(self) -> None:
        """Closes the idle connections; an attempt under way ends by itself, within its deadline."""
        for pool in self._pools.values():
            pool.close()

    def _composed(self, event: Event) -> Call | Outcome:
        try:
            call = compose(event, self._destinations, self._kinds)
        except Undeliverable as refusal:
            return Dead(refusal.reason, excerpt=refusal.detail)
        match call:
            case Notice(text):
                log.info("notify", event_type=event.event_type, aggregate_id=event.aggregate_id, text=text)
                return Delivered(None, running=False, excerpt="")
            case Call():
                return call

    def _through_gate(self, calls: Sequence[tuple[Event, Call]], epoch: int) -> Sequence[Outcome | Held]:
        to = calls[0][1].destination
        is_retry = all(event.retry_count > 0 for event, _ in calls)
        with self.gate.through(to.name, to.limits, to.timeout.total_seconds(), is_retry=is_retry) as admitted:
            if isinstance(admitted, Held):
                return [admitted] * len(calls)
            in_batches = to.batch > 1 and batch.is_item(calls[0][0])
            outcomes = (
                self._attempt_batch(calls, epoch)
                if in_batches
                else [self._attempt_one(event, call, epoch) for event, call in calls]  # several: a reload came between
            )
            admitted.ended(batch.of_all(outcomes))
            return outcomes

    def _attempt_one(self, event: Event, call: Call, epoch: int) -> Outcome:
        answer = self._attempt(self._stamped(call, event.event_uuid, event.idempotency_key, epoch))
        return batch.classified(call, answer, self._now()) if isinstance(answer, Answer) else answer

    def _attempt_batch(self, calls: Sequence[tuple[Event, Call]], epoch: int) -> list[Outcome]:
        call, message_id, key = batch.together(calls)
        answer = self._attempt(self._stamped(call, message_id, key, epoch))
        if not isinstance(answer, Answer):
            return [answer] * len(calls)
        return batch.told_apart([event for event, _ in calls], call, answer, self._now())

    def _stamped(self, call: Call, message_id: UUID, key: str, epoch: int) -> Call:
        """With the headers that tell which message this is and who sends it; they differ by attempt, the body never."""
        signed = signature_headers(call.destination.secrets, message_id, call.body, self._now())
        return replace(
            call, headers={**call.headers, "idempotency-key": key, "m10-fencing-token": str(epoch), **signed}
        )

    def _attempt(self, call: Call) -> Answer | Outcome:
        deadline = Deadline(call.destination.timeout.total_seconds())
        try:
            with self._hold(deadline.cut):
                answer = self._exchange(call, deadline)
        except Undeliverable as refusal:
            return Dead(refusal.reason, excerpt=refusal.detail)
        except NotReached as failure:
            return Retry(str(failure), counted=False)
        except NoAnswer as failure:
            return Retry(str(failure), counted=True)
        failpoint("outbox.after_response")
        return answer

    def _exchange(self, call: Call, deadline: Deadline) -> Answer:
        kept = self._pools[call.destination.name].take()
        if kept is None:
            return self._over(self._opened(call, deadline), call, deadline)
        try:
            return self._over(kept, call, deadline)
        except ClosedWhileIdle as lost:
            # The receiver closed as we sent. It may have taken the request first, so this repeats it under the same key
            # within the same attempt; and should the repeat not reach it, the attempt counts all the same.
            try:
                fresh = self._opened(call, deadline)
            except NotReached as failure:
                raise NoAnswer(str(failure)) from lost
            return self._over(fresh, call, deadline)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Read when the first destination needs it: it takes as long as a twentieth of the start."""
        return self._given_tls or _system_tls()

    def _over(self, connection: Connection, call: Call, deadline: Deadline) -> Answer:
        answer = connection.exchange(call.url, call.method, call.headers, call.body, deadline)
        if connection.reusable:
            self._pools[call.destination.name].give_back(connection)
        return answer

    def _opened(self, call: Call, deadline: Deadline) -> Connection:
        """A connection to an address that has passed the guard: to the checked address, the name is not asked again."""
        url = call.url
        try:
            found = self._resolver.resolve(url.host, url.port, deadline.left())
            _check([place.address for place in found.places], call.destination, literal=found.literal)
            sock = connect(found.places, deadline)
            if url.scheme == "https":
                sock = secure(sock, self._tls, url.host, deadline)
        except OSError as error:
            raise NotReached(describe(error)) from error
        failpoint("outbox.after_connect")
        return Connection(Wire(sock, deadline))


def _check(addresses: list[Address], destination: Destination, *, literal: bool) -> None:
    """A name may stand for a better address tomorrow; an address that is written down stays denied."""
    try:
        check(addresses, destination.allow_networks)
    except AddressDenied as denied:
        if literal:
            raise Undeliverable("destination_not_allowed", str(denied)) from denied
        raise


def _system_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
