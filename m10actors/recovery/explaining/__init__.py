"""Why it was decided so, and what would have it decided otherwise: pure functions of a decision."""

from m10actors.recovery.explaining.document import document
from m10actors.recovery.explaining.explanation import Explanation, explain
from m10actors.recovery.explaining.since import differences
from m10actors.recovery.explaining.telling import told

__all__ = ["Explanation", "differences", "document", "explain", "told"]
