"""The recovery actions: what may be done about a failure, and what it needs before it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Action:
    """One row of suggestion_action, as far as decisions read it."""

    code: str
    action_type: str
    is_automated: bool
    requires_approval: bool
    priority: int
    is_active: bool = True


SEEDED_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.code: action
        for action in (
            Action("retry_exponential", "retry", is_automated=True, requires_approval=False, priority=80),
            Action("fallback_model", "fallback", is_automated=True, requires_approval=False, priority=70),
            Action("circuit_breaker", "reconfigure", is_automated=True, requires_approval=True, priority=60),
            Action("notify_ops", "notify", is_automated=True, requires_approval=False, priority=50),
            Action("rollback_state", "rollback", is_automated=False, requires_approval=True, priority=40),
            Action("manual_intervention", "manual", is_automated=False, requires_approval=True, priority=30),
            Action("skip_task", "skip", is_automated=True, requires_approval=True, priority=20),
        )
    }
)
"""The seven actions that the migrations seed (contracts, section 5)."""
