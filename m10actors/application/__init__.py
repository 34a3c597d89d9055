"""The composition root: settings → pools and clients → the running tree. Imported only by the command and by tests."""

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import pykka

from m10actors import __version__, collector, logs, metrics
from m10actors.actors import pause_monitor
from m10actors.actors.http_endpoint import HttpEndpoint
from m10actors.actors.messages import OUTBOX_LEADER, PAUSE_MONITOR, Wake
from m10actors.application.desk import desk
from m10actors.application.listeners import check, places, servers
from m10actors.application.parts import Parts
from m10actors.application.predecessors import Predecessors
from m10actors.application.tree import tree
from m10actors.application.weather import start_in_weather
from m10actors.config import Loaded
from m10actors.config.adapters import Adapters
from m10actors.config.changes import changes, reloaded
from m10actors.instance import Instance, new_worker_id
from m10actors.postgres.errors import StoreError
from m10actors.recovery.pauses import Part, Pause
from m10actors.supervision import AskFailed, ChildState, Link, NoReply, NotRunning
from m10actors.supervisor import Tree
from m10actors.watchdog import silent
from m10actors.web.health import readiness
from m10actors.web.services import Limits, Services, Webhooks

log = logs.logger(__name__)

__all__ = ["Application", "Parts"]

_LOOK_SECONDS = 2.0


class Application:
    """One process' work: made from settings, started and stopped as one."""

    def __init__(self, loaded: Loaded, *, movable: Collection[str] = ()) -> None:
        """Enters the run folder; RunFolderError if it cannot be used. Connects to nothing yet.

        `movable`: keys of listeners that may move to the next free port although they were set.
        """
        assert loaded.settings.process.run_dir is not None, "load() gives it a default"
        self.settings = loaded.settings
        self.given_up = threading.Event()
        self._loaded = loaded
        self._movable = movable
        self._run_dir = loaded.settings.process.run_dir.expanduser().absolute()
        self._draining = threading.Event()
        self._addresses: Mapping[str, str] = {}
        self._tree: Tree | None = None
        self._instance = Instance.enter(self._run_dir, new_worker_id())
        self.parts = Parts.of(self.settings, self._instance.worker)

    @property
    def api_url(self) -> str:
        """Where the API answers on this host, once started."""
        host, _, port = self._addresses["api"].rpartition(":")
        return f"http://{'127.0.0.1' if host in {'0.0.0.0', '[::]'} else host}:{port}"  # noqa: S104 - recognised, not bound

    def start(self, *, on_drain: Callable[[], None], on_give_up: Callable[[], None]) -> None:
        """Starts the tree, in order. CannotListen if an address cannot be had, StartFailed if a child does not begin;
        nothing runs then.

        `on_drain`: an operator asks for the end. `on_give_up`: the tree ended by itself, after too many crashes.
        """
        found = places(self._loaded, self._services(on_drain), self._run_dir, self._movable)
        check(found)
        self.parts.open()

        def http_endpoint(link: Link) -> pykka.ActorRef[HttpEndpoint]:
            knobs = self.settings.tree.http_endpoint
            return HttpEndpoint.start(
                link, lambda: servers(found, self._loaded), self._listening, knobs.poll, knobs.shutdown
            )

        def give_up(_reason: object) -> None:
            self.given_up.set()
            on_give_up()

        self._tree = start_in_weather(
            tree(self.parts, http_endpoint, Predecessors(self._run_dir, self.parts.app)),
            self.parts,
            on_give_up=give_up,
            down=self._paused_at_start(),
            max_abandoned=self.settings.process.max_abandoned,
            on_restart=lambda child, cause: metrics.ACTOR_RESTARTS.labels(child, cause).inc(),
        )
        self.parts.pauses.subscribe(self._follow_pause)
        collector.settle()

    def reload(self, loaded: Loaded) -> None:
        """Goes over to what can change while the process runs, and says what cannot. ConfigError or StoreError: all is
        as it was.
        """
        settings = reloaded(self.settings, loaded.settings)
        applied, waiting = changes(self.settings, settings), changes(settings, loaded.settings)
        self.parts.reload(settings)
        logs.setup(settings.process.log_level, settings.process.log_format)
        self.settings = settings
        log.info("reloaded", applied=", ".join(applied) or "nothing", rules=self.parts.live.rules().book.rules.version)
        if waiting:
            log.warning("reload_needs_restart", keys=", ".join(waiting))

    def stop(self, grace: float | None = None) -> None:
        """Drains: children stop in reverse order within `grace` seconds (those of the settings); threads that do not
        end are abandoned.
        """
        self._draining.set()
        if self._tree is not None:
            self._tree.stop(self.settings.process.grace.total_seconds() if grace is None else grace)
        self.parts.close()
        if not self.abandoned:
            self._instance.leave()  # else what the abandoned had in hand is taken over as after a crash

    def condition(self) -> str:
        """In one line, for the service manager."""
        found = readiness(
            self._snapshot(),
            draining=self._draining.is_set(),
            postgres=self.parts.postgres.health.condition,
            redis=self.parts.redis.health.condition,
        )
        paused = [f"{pause.part} {pause}" for pause in self.parts.pauses.now]
        return "; ".join([f"{found.status} at {self.api_url}", *found.reasons, *paused])

    def is_stuck(self, limit: float) -> bool:
        """Whether a supervisor has shown no progress for `limit` seconds: nothing that fails below is healed then."""
        snapshot = self._snapshot()
        stuck = silent(snapshot, limit) if snapshot is not None else ()
        if stuck:
            log.error("tree_stuck", supervisors=", ".join(stuck), limit_seconds=limit)
        return bool(stuck)

    @property
    def abandoned(self) -> int:
        """How many threads did not end when they had to."""
        return self._tree.abandoned if self._tree else 0

    def _listening(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        wanted = str(self.settings.http.listen)
        if addresses["api"] != wanted and not wanted.endswith(":0"):
            log.warning("port_taken", wanted=wanted, listening=addresses["api"])
        ops = [address for name, address in addresses.items() if name.startswith("ops")]
        self._instance.write({"api": self.api_url, "ops": ops, "version": __version__})

    def _services(self, on_drain: Callable[[], None]) -> Services:
        ingest = self.settings.ingest
        return Services(
            version=__version__,
            worker=self._instance.worker,
            ingest=self.parts.ingest,
            database=self.parts.app,
            metrics_database=self.parts.metrics,
            postgres=self.parts.postgres,
            redis=self.parts.redis,
            current_routes=lambda: self.parts.live.rules().routes,
            snapshot=self._snapshot,
            draining=self._draining,
            drain=on_drain,
            wake=self._wake,
            operations_database=self.parts.ops,
            pauses=self.parts.pauses,
            look_at_pauses=self._look_at_pauses,
            allowed_hosts=self.settings.http.allowed_hosts,
            limits=Limits(
                ingest.max_body,
                ingest.max_batch_items,
                ingest.max_batch_bytes,
                token_rate=self.settings.http.token_rate,
                token_burst=self.settings.http.token_burst,
            ),
            policy=lambda: self.parts.live.rules().policy,
            ruleset=lambda: self.parts.live.rules().book.rules,
            terms=lambda: self.parts.live.now.terms,
            webhooks=_webhooks(self.settings.adapters),
            destinations=self.parts.live.destinations,
            jobs=desk(self.parts, lambda: self._tree),
        )

    def _paused_at_start(self) -> frozenset[str]:
        """What must not begin, even for a moment."""
        with suppress(StoreError):  # then its monitor finds out later, and until then everything is held back
            pause_monitor.look(self.parts.app, self.parts.pauses)
        return self.parts.pauses.held_back

    def _follow_pause(self, part: Part, pause: Pause | None) -> None:
        if self._tree is not None:
            self._tree.weather(part, up=pause is None, why=str(pause or ""))
            if part is Part.ACTIONS and pause is None:
                self._wake()  # what was held back goes out at once

    def _look_at_pauses(self) -> None:
        """Has what was just paused or resumed take effect now; where that fails it does at the next look."""
        if self._tree is not None:
            with suppress(NotRunning, NoReply, AskFailed):
                self._tree.ask(PAUSE_MONITOR, pause_monitor.LOOK, _LOOK_SECONDS)

    def _wake(self) -> None:
        if self._tree is not None:
            self._tree.tell(OUTBOX_LEADER, Wake())

    def _snapshot(self) -> ChildState | None:
        return self._tree.snapshot() if self._tree else None


def _webhooks(adapters: Adapters) -> Webhooks:
    secret = adapters.sentry_secret.get_secret_value() if adapters.sentry_secret else None
    return Webhooks(adapters.incident_label, secret, adapters.sentry_name)
