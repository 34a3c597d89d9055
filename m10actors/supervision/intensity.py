"""Restart intensity: how many restarts within a sliding period are too many (OTP's `supervisor:add_restart/1`)."""


def add_restart(
    restarts: tuple[float, ...], now: float, intensity: int, period: float
) -> tuple[tuple[float, ...], bool]:
    """The restarts of the last `period` seconds, this one included, and whether they are more than `intensity`.

    `restarts` are the times that the call before returned, on the same monotonic clock as `now`.
    """
    within = (*restarts_within(restarts, now, period), now)
    return within, len(within) > intensity


def restarts_within(restarts: tuple[float, ...], now: float, period: float) -> tuple[float, ...]:
    """Those not older than `period` seconds; one exactly that old still counts, as in OTP."""
    return tuple(at for at in restarts if now - at <= period)
