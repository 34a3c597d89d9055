"""Why an attempt came to nothing: one class for each decision that follows from it."""


class DeliveryError(Exception):
    """An attempt without an answer."""


class Undeliverable(DeliveryError):
    """No attempt can ever succeed: the event is a dead letter with this reason."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class NotReached(DeliveryError):
    """Nothing was sent: refused, no name, no TLS, an address that the guard denies. Costs no retry."""


class NoAnswer(DeliveryError):
    """The request was sent, at least in part, and no whole answer came: it may have been seen. Costs a retry."""


class ClosedWhileIdle(NoAnswer):
    """A kept connection ended before the first byte of an answer: the usual end of an idle one."""
