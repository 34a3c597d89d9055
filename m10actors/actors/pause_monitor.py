"""Reads what operators have paused, for this process to follow."""

from datetime import timedelta

from m10actors import logs
from m10actors.actors.messages import Tick
from m10actors.actors.outage import Outage
from m10actors.postgres import controls
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database
from m10actors.recovery.pauses import Pauses
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

LOOK = Tick("look")


def look(database: Database, pauses: Pauses) -> None:
    """Has `pauses` follow the table, and says what has changed. StoreError: all is as it was."""
    for part, pause in pauses.observe(controls.pauses(database)):
        if pause is not None:
            log.warning("part_paused", part=part, by=pause.by, reason=pause.reason, until=pause.until)
        else:
            log.info("part_resumed", part=part)


class PauseMonitor(Actor):
    """Looks every `poll`, and at once when it is told LOOK. While PostgreSQL is away, what was paused stays so."""

    def __init__(self, link: Link, database: Database, pauses: Pauses, poll: timedelta) -> None:
        super().__init__(link)
        self._database = database
        self._pauses = pauses
        self._poll = poll.total_seconds()
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        self.tick_in(0, LOOK)

    def on_message(self, message: object) -> None:
        match message:
            case Tick("look"):
                try:
                    self._look()
                except StoreError as error:
                    self.tick_in(self._outage.met(error), LOOK)
                else:
                    self._outage.over()
                    self.tick_in(self._poll, LOOK)

    def _look(self) -> None:
        look(self._database, self._pauses)
        self.doing(", ".join(f"{pause.part} paused" for pause in self._pauses.now) or "nothing paused")
