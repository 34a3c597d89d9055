"""What the decisions of a batch share, made once and told by its content."""

import json
from collections.abc import Mapping
from hashlib import sha256

from m10actors.recovery.decision import Decision


class Contexts:
    """The contexts of one batch of decisions. It lives no longer than the batch: actions and policies are told apart by
    their identity.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, str], str] = {}
        self._by_digest: dict[str, Mapping[str, object]] = {}

    @property
    def by_digest(self) -> Mapping[str, Mapping[str, object]]:
        """Each that was asked for, as `Decision.context` makes it."""
        return self._by_digest

    def digest(self, decision: Decision) -> str:
        """32 hexadecimal characters: the same for the same content, in whatever process. Empty if there is none."""
        if (seen := decision.seen) is None:
            return ""
        key = (id(seen.facts.actions), id(seen.policy), decision.rules_version)
        known = self._known.get(key)
        if known is None:
            context = decision.context()
            known = self._known[key] = sha256(json.dumps(context, sort_keys=True).encode()).hexdigest()[:32]
            self._by_digest[known] = context
        return known
