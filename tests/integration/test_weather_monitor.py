"""The monitor of a dependency, with a probe that hangs."""

import threading
from datetime import timedelta

from supervisor_kit import states

from m10actors.actors.monitors import DependencyMonitor
from m10actors.recovery.dependency import Dependency
from m10actors.supervision import ChildSpec, SupervisorSpec
from m10actors.supervisor import start_tree
from m10actors.testing.waiting import eventually


def test_however_many_ask_for_a_probe_during_one_it_is_not_probed_once_for_each() -> None:
    store, probes, go_on = Dependency("store"), list[int](), threading.Event()

    def probe() -> None:
        probes.append(1)
        go_on.wait(30)

    def start(link):  # type: ignore[no-untyped-def]
        return DependencyMonitor.start(link, store, probe, timedelta(minutes=1))

    tree = start_tree(SupervisorSpec(id="root", children=(ChildSpec(id="monitor", start=start),)))
    try:
        eventually(lambda: probes)
        for asked in range(5):
            store.suspect()
            eventually(lambda: (states(tree)["monitor"].mailbox or 0) > asked)  # noqa: B023
        go_on.set()
        eventually(lambda: states(tree)["monitor"].mailbox == 0)
        assert len(probes) == 1
    finally:
        go_on.set()
        tree.stop()
