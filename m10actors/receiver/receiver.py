"""What a receiver answers to a delivery, in the order in which it has to be asked."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from m10actors.receiver.store import Begun, Store
from m10actors.recovery import batch

log = logging.getLogger(__name__)

BUSY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that is verified, new, and of the newest epoch. `event_id` is the same however often it is sent."""

    event_id: str
    epoch: int
    body: bytes

    def json(self) -> Any:
        """The body of a recovery event, read; ValueError where it is something else."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer. `reason` says why in a word, for a log."""

    status: int
    reason: str
    body: bytes = b""


class Running:
    """What to return from carrying out where the result is reported later."""


CarryOut: TypeAlias = Callable[[Delivery], Running | None]

_DONE = Answer(200, "done")
_RUNNING = Answer(202, "running", b'{"status": "running"}')


class Receiver:
    """Verifies with any of `secrets` (Standard Webhooks, so that two overlap during a rotation), refuses senders whose
    lease is over, and carries each event out once as far as `store` remembers it. Safe to use from many threads.

    One receiver is for one installation of m10: epochs of two cannot be compared. `busy_seconds`: how long an event
    may take; if it was begun longer ago, its process is taken for dead, and a repeat carries it out again.
    ValueError for a secret that is none, or for no secret at all.
    """

    def __init__(self, secrets: Sequence[str], store: Store, *, busy_seconds: float = BUSY_SECONDS) -> None:
        if not secrets or isinstance(secrets, str):
            raise ValueError("secrets: expected a list of one or more signing secrets")
        self._verifiers = tuple(Webhook(secret) for secret in secrets)
        self._store = store
        self._busy_seconds = busy_seconds

    def take(self, headers: Mapping[str, str], body: bytes, carry_out: CarryOut) -> Answer:
        """The answer to a request. `carry_out` is called only for an event that is to be carried out now; what it
        raises is raised (answer it with a 500), and the event comes again later. Of a batch it is called for each
        event, and one that it raises on is a 500 in the answer, whatever becomes of the others.
        """
        given = {name.lower(): value for name, value in headers.items()}
        if not any(_is_signed(verifier, given, body) for verifier in self._verifiers):
            return Answer(401, "signature")
        token = given.get("m10-fencing-token", "")
        if not (token.isascii() and token.isdigit() and len(token) <= 18):
            return Answer(428, "no m10-fencing-token")
        if given.get("content-type", "").partition(";")[0].strip() == batch.CONTENT_TYPE:
            return self._batch(int(token), body, carry_out)
        return self._one(Delivery(given["webhook-id"], int(token), body), carry_out)

    def _batch(self, epoch: int, body: bytes, carry_out: CarryOut) -> Answer:
        try:
            items = batch.decode(body)
        except batch.NoBatch as error:
            return Answer(422, f"no batch: {error}")
        words: dict[UUID, batch.Word] = {}
        for item in items:
            try:
                answer = self._one(Delivery(str(item.event_id), epoch, item.body), carry_out)
            except Exception:  # the edge of a guest: one event that fails is no reason to carry the others out again
                log.exception("event %s of a batch could not be carried out", item.event_id)
                answer = Answer(500, "failed")
            words[item.event_id] = batch.Word(answer.status, body=answer.body)
        return Answer(200, f"batch of {len(items)}", batch.encode_words(words))

    def _one(self, delivery: Delivery, carry_out: CarryOut) -> Answer:
        attempt = uuid4().hex
        begun = self._store.begin(delivery.event_id, delivery.epoch, attempt, self._busy_seconds)
        match begun:
            case Begun.NEW:
                return self._carried_out(delivery, attempt, carry_out)
            case Begun.BUSY:
                return Answer(409, "is being carried out")
            case Begun.OLD_EPOCH:
                return Answer(412, "a newer epoch was seen")
            case Begun.RUNNING:
                return _RUNNING
            case Begun.DONE:
                return _DONE

    def _carried_out(self, delivery: Delivery, attempt: str, carry_out: CarryOut) -> Answer:
        running = False
        finished = False
        try:
            running = isinstance(carry_out(delivery), Running)
            finished = True
        finally:
            if not finished:
                self._store.abandon(delivery.event_id, attempt)
        self._store.finish(delivery.event_id, running=running)
        return _RUNNING if running else _DONE


def _is_signed(verifier: Webhook, headers: dict[str, str], body: bytes) -> bool:
    try:
        verifier.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: headers or a body that cannot be read as what they are
        return False
    return True
