"""The composition root: settings → pools and clients → the running tree. Imported only by the command and by tests."""

import threading
from collections.abc import Callable, Collection, Mapping

import pykka

from m10actors import __version__, logs
from m10actors.actors.http_endpoint import HttpEndpoint
from m10actors.actors.messages import OUTBOX_LEADER, Wake
from m10actors.application.listeners import check, places, servers
from m10actors.application.parts import Parts
from m10actors.application.predecessors import Predecessors
from m10actors.application.tree import tree
from m10actors.config import Loaded
from m10actors.instance import Instance, new_worker_id
from m10actors.supervision import ChildState, Link
from m10actors.supervisor import Tree, start_tree
from m10actors.web.services import Limits, Services

log = logs.logger(__name__)

__all__ = ["Application", "Parts"]


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

        self._tree = start_tree(
            tree(self.parts, http_endpoint, Predecessors(self._run_dir, self.parts.app)), on_give_up=give_up
        )

    def stop(self) -> None:
        """Drains: children stop in reverse order within the grace period; threads that do not end are abandoned."""
        self._draining.set()
        if self._tree is not None:
            self._tree.stop(self.settings.process.grace.total_seconds())
        self.parts.close()
        if not self.abandoned:
            self._instance.leave()  # else what the abandoned had in hand is taken over as after a crash

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
            routes=self.parts.routes,
            snapshot=self._snapshot,
            abandoned=lambda: self.abandoned,
            draining=self._draining,
            drain=on_drain,
            wake=self._wake,
            allowed_hosts=self.settings.http.allowed_hosts,
            limits=Limits(ingest.max_body, ingest.max_batch_items, ingest.max_batch_bytes),
        )

    def _wake(self) -> None:
        if self._tree is not None:
            self._tree.tell(OUTBOX_LEADER, Wake())

    def _snapshot(self) -> ChildState | None:
        return self._tree.snapshot() if self._tree else None
