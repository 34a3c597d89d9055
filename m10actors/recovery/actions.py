"""The recovery actions: what may be done about a failure, and what it needs before it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from m10actors.recovery.confidence import Cases


@dataclass(frozen=True, slots=True)
class Action:
    """One row of suggestion_action, as far as decisions read it. `applications`: how often it was carried out with an
    outcome that is known, `successes`: how often it helped.
    """

    code: str
    is_automated: bool
    requires_approval: bool
    is_active: bool = True
    applications: int = 0
    successes: int = 0

    @property
    def cases(self) -> Cases:
        """What came of it, whatever it was taken for; old cases count like new ones."""
        rate = round(self.successes / self.applications, 6) if self.applications else 0.0
        return Cases(self.code, self.applications, self.successes, rate, float(self.applications))


SEEDED_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.code: action
        for action in (
            Action("retry_exponential", is_automated=True, requires_approval=False),
            Action("fallback_model", is_automated=True, requires_approval=False),
            Action("circuit_breaker", is_automated=True, requires_approval=True),
            Action("notify_ops", is_automated=True, requires_approval=False),
            Action("rollback_state", is_automated=False, requires_approval=True),
            Action("manual_intervention", is_automated=False, requires_approval=True),
            Action("skip_task", is_automated=True, requires_approval=True),
        )
    }
)
"""The seven actions that the migrations seed (contracts, section 5)."""
