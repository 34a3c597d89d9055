"""Sentry's webhooks of the integration platform:
https://docs.sentry.io/organization/integrations/integration-platform/webhooks/
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from m10actors.adapters.reading import CODE_NAMES, Ignored, Reading, failure_from, scalar, texts
from m10actors.recovery.failure import UNKNOWN_CODE
from m10actors.recovery.problems import Code, InvalidFailure, Problem

SOURCE: Final = "sentry"
_OBJECTS: Final = {("event_alert", "triggered"): "event", ("error", "created"): "error", ("issue", "created"): "issue"}
_DETAILS: Final = ("event_id", "issue_id", "id", "shortId", "level", "culprit", "platform", "environment", "release",
                   "timestamp", "web_url", "permalink")  # fmt: skip


def signature_fits(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` (`Sentry-Hook-Signature`) is the HMAC-SHA256 of the body under the integration's secret. How
    long it takes does not depend on how much of it is right.
    """
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made.encode(), signature.encode("utf-8", "replace"))


def reading(hook: object, resource: str, incident_tag: str) -> Reading:
    """What became of a webhook; `resource` is its header `Sentry-Hook-Resource`.

    A failure is an event that triggered an issue alert, an error that was created, or an issue that was. The same
    failure are those of one issue, else of one fingerprint. An event counts once, by whichever of the first two it
    came.
    """
    if not isinstance(hook, dict):
        return InvalidFailure(Problem(Code.OBJECT_EXPECTED, "", "a webhook is a JSON object"))
    action, data = hook.get("action"), hook.get("data")
    if not isinstance(action, str):
        return InvalidFailure(Problem(Code.MISSING_FIELD, "action", "is missing or no string"))
    name = _OBJECTS.get((resource, action))
    if name is None:
        return Ignored("neither an issue alert, nor an error or issue that was created")
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, dict):
        return InvalidFailure(Problem(Code.OBJECT_EXPECTED, f"data.{name}", "is no JSON object"))
    try:
        return _failure(found, f"data.{name}", incident_tag, is_issue=name == "issue")
    except InvalidFailure as invalid:
        return invalid


def _failure(found: Mapping[str, object], path: str, incident_tag: str, *, is_issue: bool) -> Reading:
    id_field = "id" if is_issue else "event_id"
    own_id = scalar(found.get(id_field))
    if not own_id:
        raise InvalidFailure(Problem(Code.MISSING_FIELD, f"{path}.{id_field}", "is missing"))
    tags, kind, value = _tags(found.get("tags")), *_exception(found)
    issue = own_id if is_issue else scalar(found.get("issue_id"))
    return failure_from(
        source=SOURCE,
        code=next((tags[each] for each in CODE_NAMES if tags.get(each, "").strip()), kind) or UNKNOWN_CODE,
        message=value or scalar(found.get("message")) or scalar(found.get("title")) or "",
        identity=f"issue {issue}" if issue else f"fingerprint {_fingerprint(found, kind, value)}",
        incident=tags.get(incident_tag, "").strip() or None,
        key=f"issue {own_id}" if is_issue else f"event {own_id}",
        details={
            **{name: text for name in _DETAILS if (text := scalar(found.get(name))) is not None},
            "project": _project(found.get("project")),
            "tags": tags,
        },
    )


def _exception(found: Mapping[str, object]) -> tuple[str, str]:
    """Type and value of the exception: by the metadata of the event, else the innermost one; empty where unknown."""
    exception = found.get("exception")
    values = exception.get("values") if isinstance(exception, dict) else None
    for place in (found.get("metadata"), values[-1] if isinstance(values, list) and values else None):
        named = texts(place)
        if named.get("type", "").strip():
            return named["type"].strip(), named.get("value", "")
    return "", ""


def _fingerprint(found: Mapping[str, object], kind: str, value: str) -> str:
    """What Sentry groups by; its own default means the exception."""
    given = found.get("fingerprint")
    parts = [scalar(part) or "" for part in given] if isinstance(given, list) else []
    own = [part for part in parts if part.strip("{} ") != "default"]
    return repr([scalar(found.get("project")), *(own or (kind, value, scalar(found.get("culprit"))))])


def _tags(value: object) -> dict[str, str]:
    """Pairs, or objects with key and value, or one object."""
    if not isinstance(value, list):
        return texts(value)
    pairs: dict[object, object] = {}
    for each in value:
        match each:
            case [str(name), tagged]:
                pairs[name] = tagged
            case {"key": str(name), "value": tagged}:
                pairs[name] = tagged
    return texts(pairs)


def _project(value: object) -> str | None:
    """The slug, or the number where that is all that is told."""
    return texts(value).get("slug") if isinstance(value, dict) else scalar(value)
