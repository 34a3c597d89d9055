"""What people decide, and how much is carried out without them."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from m10actors.config.durations import duration
from m10actors.config.kinds import AsTuple, Duration, Says, Section
from m10actors.recovery.quiet_hours import QuietHours, Span, zone

Cap = Annotated[int, Field(ge=1, le=1_000_000_000), Says("a number from 1 to 1000000000")]


def _a_span(text: str) -> str:
    return Span.parse(text).text


def _a_zone(name: str) -> str:
    zone(name)
    return name


class Autonomy(Section):
    """How much is carried out without a person, and when nothing is; the rest waits for one."""

    per_candidate: Cap = 4
    """Executions of one candidate within an hour."""
    per_source: Cap = 100
    """Executions for the failures of one source within an hour."""
    per_action: Cap = 100
    """Executions of one action within an hour."""
    per_hour: Cap = 200
    """Executions within an hour, all told."""
    quiet_hours: Annotated[
        tuple[Annotated[str, AfterValidator(_a_span), Says("hours such as 22:00-07:00 or Mon-Fri 18:00-08:00")], ...],
        AsTuple,
    ] = ()
    """Hours in which nothing is, each such as `22:00-07:00` or `Sat,Sun 00:00-24:00`; the days are those on which they
    begin."""
    time_zone: Annotated[str, AfterValidator(_a_zone), Says("a time zone such as Europe/Berlin")] = "UTC"
    """Time zone of the quiet hours, by its IANA name."""

    @property
    def limits(self) -> dict[str, int]:
        """The caps as SQL takes them."""
        return {
            "candidate": self.per_candidate,
            "source": self.per_source,
            "action": self.per_action,
            "total": self.per_hour,
        }

    @property
    def quiet(self) -> QuietHours:
        return QuietHours.parse(self.quiet_hours, self.time_zone)

    def for_sql(self) -> dict[str, object]:
        """What SQL asks before it carries something out by itself (`settings.autonomy`)."""
        spans = ({"days": sorted(span.days), "begin": span.begin, "end": span.end} for span in self.quiet.spans)
        return {"limits": self.limits, "quiet": list(spans), "zone": self.time_zone}


class Approvals(Section):
    """How a person's approval counts."""

    four_eyes: bool = False
    """Whether two people have to approve an action; `actions.NAME.four_eyes` says it for one of them."""
    expires: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=30))] = duration("4h")
    """Time for which the first of two approvals stands."""
    own: bool = True
    """Whether who reported a failure may approve what is proposed for it."""
