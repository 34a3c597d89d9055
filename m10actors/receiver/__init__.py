"""For those who receive what m10 delivers: verify, fence, carry out once.

    receiver = Receiver(["whsec_…"], SqliteStore("recovery-events.db"))
    answer = receiver.take(request.headers, body, carry_out)     # → answer.status, answer.body

Needs nothing of the engine: SQLite of the standard library, and standardwebhooks.
"""

from m10actors.receiver.receiver import Answer, Delivery, Receiver, Running
from m10actors.receiver.store import Begun, SqliteStore, Store

__all__ = ["Answer", "Begun", "Delivery", "Receiver", "Running", "SqliteStore", "Store"]
