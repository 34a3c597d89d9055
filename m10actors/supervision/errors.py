"""What can go wrong with a tree, one class per decision that the caller can take."""

from m10actors.supervision.exits import ExitReason


class SupervisionFailure(Exception):
    """The supervision tree could not do what was asked."""


class InvalidSpec(SupervisionFailure):
    """The tree is not well described; nothing has been started. `problems` has all of it, one sentence each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class StartFailed(SupervisionFailure):
    """The child did not begin. `reason` says why."""

    def __init__(self, child_id: str, reason: ExitReason) -> None:
        super().__init__(f"{child_id} did not start: {reason}")
        self.child_id = child_id
        self.reason = reason


class GaveUp(SupervisionFailure):
    """The supervisor has restarted its children more often than its restart intensity allows."""

    def __init__(self, supervisor_id: str, child_id: str, reason: ExitReason, limit: str) -> None:
        super().__init__(f"{supervisor_id} gave up: more than {limit}, the last for {child_id} ({reason})")
        self.supervisor_id = supervisor_id
        self.child_id = child_id
        self.reason = reason


class TooManyAbandoned(SupervisionFailure):
    """More threads than the tree may have did not end when they had to; only the end of the process ends them."""

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"{count} abandoned threads still run, {limit} are allowed")
        self.count = count
        self.limit = limit


class Exit(Exception):
    """Raised by an actor to end at once, for this reason and without being a crash (OTP's `exit/1`)."""

    def __init__(self, reason: ExitReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class NotRunning(SupervisionFailure):
    """Nobody is registered under the child id, or it ended before it came to the question."""

    def __init__(self, child_id: str) -> None:
        super().__init__(f"{child_id} is not running")
        self.child_id = child_id


class NoReply(SupervisionFailure):
    """The child did not answer in time. It may still do what it was asked."""

    def __init__(self, child_id: str, timeout: float) -> None:
        super().__init__(f"{child_id} did not answer within {timeout} s")
        self.child_id = child_id
        self.timeout = timeout


class AskFailed(SupervisionFailure):
    """The child crashed on the question; its supervisor deals with it as with any crash."""

    def __init__(self, child_id: str, reason: ExitReason) -> None:
        super().__init__(f"{child_id} crashed on the question: {reason}")
        self.child_id = child_id
        self.reason = reason
