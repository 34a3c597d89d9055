"""What a person can do about a group of dead letters, by stage and cause."""

from typing import Final, Literal

Stage = Literal["evaluation", "delivery", "entry", "other"]

_BY_CAUSE: Final = {
    "evaluator_failed": "a bug, or data that nobody foresaw: look for it in the log, repair it, then replay",
    "evaluator_timeout": "an evaluator of yours hangs or is away: see to it, then replay",
    "store_refused": "PostgreSQL refuses what was to be written: look at the SQLSTATE, repair it, then replay",
    "too_many_attempts": "it ended every worker that took it: look at the log, repair what it met, then replay",
    "candidate_not_found": "its candidate was never stored, or is archived by now: nothing is left to do, purge it",
    "destination_not_allowed": "allow the destination in [destinations], reload, then replay",
    "unknown_event_type": "nothing carries out such a type: correct [actions] for the next ones, purge this one",
    "invalid_payload": "its payload is none of its type: correct who publishes it, then purge it",
    "event_kind_failed": "the code of that kind of event raised: look at the log, repair it, then replay",
    "http_400": "the receiver does not accept the body: repair the receiver, or the action's template, then replay",
    "http_401": "the receiver does not accept the credentials: set the destination's headers or secret, then replay",
    "http_403": "the receiver does not accept the credentials: set the destination's headers or secret, then replay",
    "http_410": "the receiver is gone and its destination paused: give it a new address, resume it, then replay",
    "http_413": "the receiver does not accept so large a body: repair the receiver, then replay",
    "http_422": "the receiver does not accept the body: repair the receiver, or the action's template, then replay",
}
_BY_STAGE: Final[dict[Stage, str]] = {
    "evaluation": "look at the log for the cause, repair it, then replay",
    "delivery": "see that the receiver works again, then replay",
    "entry": "see to the program that sends such entries; m10 dlq replay ID --edit makes one readable",
    "other": "another program's: it alone knows what it is",
}


def advice(stage: Stage, cause: str) -> str:
    """One sentence."""
    return _BY_CAUSE.get(cause, _BY_STAGE[stage])


REFUSALS: Final = {
    "replayed": "were replayed before",
    "needs_edit": "cannot be read: m10 dlq replay ID --edit",
    "not_ours": "are another program's",
    "not_found": "have lost their candidate or event to retention, or were purged",
    "in_hand": "are due or being delivered already",
    "superseded": "were evaluated, or died again, since",
    "delivered": "were delivered since",
    "newer_round": "are history: their candidate has published its next round",
    "capped": "were replayed too often: --cap",
    "already_open": "are being delivered already",
}
"""Why some are left out of a replay."""
