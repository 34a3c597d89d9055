"""Processes under an audit of the outbox: every claim and completion is entered with its epoch, and the account."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from m10actors.testing import account
from m10actors.testing.campaign import Stage
from m10actors.testing.campaign.stage import DATABASE
from m10actors.testing.receiver import Answer, Fence, Request
from m10actors.testing.waiting import eventually

TTL_SECONDS = 1.5
SETTINGS: dict[str, object] = {
    "outbox.lock_ttl": f"{TTL_SECONDS}s",
    "outbox.renew_every": "500ms",
    "outbox.retry_schedule": ["100ms"] * 5,
}
RECEIVER_SECONDS = 0.02
"""It takes its time, so that whoever is stopped or killed has something in hand."""

AUDIT = """
CREATE TABLE public.audit (id bigserial PRIMARY KEY, epoch bigint NOT NULL);
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.audit (epoch) VALUES (coalesce(NEW.claimed_epoch, OLD.claimed_epoch));
    RETURN NULL;
END
$$;
CREATE TRIGGER claimed AFTER UPDATE ON m10_recovery.outbox FOR EACH ROW
    WHEN (NEW.claimed_epoch IS NOT NULL AND NEW.claimed_at IS DISTINCT FROM OLD.claimed_at)
    EXECUTE FUNCTION public.audit();
CREATE TRIGGER completed AFTER UPDATE ON m10_recovery.outbox FOR EACH ROW
    WHEN (OLD.claimed_epoch IS NOT NULL AND NEW.claimed_epoch IS NULL
          AND jsonb_array_length(NEW.attempts) <> jsonb_array_length(OLD.attempts))
    EXECUTE FUNCTION public.audit();
"""
"""Every claim and every completion is entered with the epoch in which it was made."""

LATE = """
SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (ORDER BY id) AS newest FROM public.audit) a WHERE epoch < newest
"""
HOLDER = """
SELECT holder_id FROM m10_recovery.distributed_locks WHERE lock_name = 'm10:outbox_processor' AND expires_at > now()
"""
OPEN = """
SELECT claimed_epoch, waits_behind IS NOT NULL AS waits, process_after <= now() AS due, retry_count, count(*)
FROM m10_recovery.outbox WHERE processed_at IS NULL AND dead_at IS NULL GROUP BY 1, 2, 3, 4
"""
PUBLISH = """
SELECT m10_recovery.publish_outbox('thing', floor(random() * 50)::text, 'webhook:test',
                                   jsonb_build_object('webhook_url', %s::text, 'data', n))
FROM generate_series(1, %s::int) n
"""


@dataclass(frozen=True, slots=True)
class Result:
    """The account. `written_late`: claims and completions of an epoch after one of a newer epoch: 0, or a bug.
    `received_twice` is at-least-once; `refused`: attempts that the receiver refused because of their older epoch.
    """

    rounds: int
    epochs: int
    published: int
    delivered: int
    dead: int
    written: int
    written_late: int
    never_received: int
    changed_bodies: int
    received_twice: int
    refused: int

    @property
    def sound(self) -> bool:
        return (
            self.delivered == self.published > 0
            and self.written > 0
            and not (self.dead or self.written_late or self.never_received or self.changed_bodies)
        )


class Scene:
    """A stage with an audit, whose receiver refuses older epochs."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.sql = psycopg.connect(stage.servers.start().postgres_url("postgres", DATABASE), autocommit=True)
        self.sql.execute(AUDIT)
        stage.receiver.answer = self._answer
        self._fence = Fence()
        self.refused = 0

    def _answer(self, request: Request) -> Answer:
        answer = self._fence(request)
        self.refused += answer.status == 412
        return replace(answer, delay=RECEIVER_SECONDS)

    def publish(self, count: int) -> None:
        self.sql.execute(PUBLISH, [self.stage.receiver.url, count])

    def leader(self) -> str:
        """Who leads, by the worker id of its process; empty if nobody does."""
        row = self.sql.execute(HOLDER).fetchone()
        return str(row[0]).partition("/")[0] if row else ""

    def settles(self) -> None:
        try:
            eventually(lambda: account.is_settled(self.stage.ops), within=90, every=0.02)
        except AssertionError as error:
            left = self.sql.execute(OPEN).fetchall()
            raise AssertionError(f"not settled: {left}\n{self.stage.log_tail()}") from error

    @contextmanager
    def load(self) -> Iterator[None]:
        """Some events every few milliseconds, so that there is always something in hand."""
        enough = threading.Event()

        def publish() -> None:
            with psycopg.connect(self.sql.info.dsn, autocommit=True) as connection:
                while not enough.wait(0.02):
                    connection.execute(PUBLISH, [self.stage.receiver.url, 4])

        thread = threading.Thread(target=publish, name="load")
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()

    def account(self, rounds: int) -> Result:
        stores, deliveries = (
            account.stores(self.stage.ops),
            account.deliveries(self.stage.ops, self.stage.receiver.ledger),
        )
        epochs, written, late = (
            self.sql.execute(query).fetchone()
            for query in ("SELECT count(DISTINCT epoch) FROM public.audit", "SELECT count(*) FROM public.audit", LATE)
        )
        return Result(
            rounds=rounds,
            epochs=epochs[0] if epochs else 0,
            published=stores.published,
            delivered=stores.delivered,
            dead=stores.dead,
            written=written[0] if written else 0,
            written_late=late[0] if late else 0,
            never_received=len(deliveries.never_received) + len(deliveries.phantoms),
            changed_bodies=len(deliveries.changed),
            received_twice=len(deliveries.received_twice),
            refused=self.refused,
        )


@contextmanager
def scene(folder: Path, engines: int) -> Iterator[Scene]:
    with Stage(folder, SETTINGS, engines=engines) as stage:
        made = Scene(stage)
        with made.sql:
            yield made
