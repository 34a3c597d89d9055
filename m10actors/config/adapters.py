"""Failures that other systems report by their own webhooks."""

from typing import Annotated

from pydantic import Field

from m10actors.config.kinds import Env, Says, SecretText, Section, Text


class Adapters(Section):
    """Webhooks of Alertmanager and Sentry as failures."""

    incident_label: Annotated[
        str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$"), Says("the name of a label, such as m10_incident")
    ] = "m10_incident"
    """Alert label or Sentry tag that names an incident; whatever names the same one folds into one candidate."""
    sentry_secret: Annotated[SecretText | None, Env("M10_SENTRY_SECRET")] = None
    """Client secret of the Sentry integration; what it signs needs no token."""
    sentry_name: Text = "sentry"
    """Name under which what Sentry signs is stored, as if it were that of a token."""
