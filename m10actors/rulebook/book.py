"""The rules of a running process. One that fails is switched off; the next reload brings it back."""

import threading
from collections.abc import Iterable
from dataclasses import replace

from m10actors import logs, metrics
from m10actors.recovery.rules import FailedRule, Ruleset

log = logs.logger(__name__)


class Book:
    """The rules of one configuration, from when they are read to when others replace them. Safe to use from any
    thread.
    """

    def __init__(self, rules: Ruleset) -> None:
        self._rules = rules
        self._off: frozenset[str] = frozenset()
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def rules(self) -> Ruleset:
        """Those that decide now."""
        return self._rules

    def switch_off(self, failed: Iterable[FailedRule]) -> None:
        """Lets these rules decide nothing from now on, and says so once for each."""
        with self._lock:  # against another worker in which the same rule failed
            found = {each.rule: each.error for each in failed if each.rule not in self._off}
            if not found or self._is_closed:
                return
            self._off |= found.keys()
            self._rules = Ruleset(
                tuple(replace(rule, is_active=False) if rule.name in found else rule for rule in self._rules.rules)
            )
            for name in found:
                metrics.RULE_SWITCHED_OFF.labels(metrics.rule_label(name)).set(1)
        for name, why in found.items():
            log.error("rule_switched_off", rule=name, why=why, until="the next reload")

    def close(self) -> None:
        """Other rules decide from now on; whoever still decides by these switches nothing off."""
        with self._lock:
            self._is_closed = True
            metrics.RULE_SWITCHED_OFF.clear()
