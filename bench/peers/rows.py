"""W2 for one message, as a user writes it: what is read of its candidate, and the rows that are written."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from bench.statements import COLUMNS
from bench.words import trivial

READ_ONE = f"""
SELECT {COLUMNS}, failure_match_id, error_signature, last_occurrence_at
FROM public.recovery_candidates WHERE id = %s
""".encode()
"""What an evaluator gets, and what the event says beside it."""
DECIDE = b"""
UPDATE public.recovery_candidates
SET evaluated_generation = 1, evaluated_count = occurrence_count, confidence = %s, suggestion = %s, explain = %s,
    selected_action_id = (SELECT id FROM m10_recovery.suggestion_action WHERE action_code = %s), rules_evaluated = %s,
    updated_at = now(), decision = 'approved', approved_at = now(), execution_status = 'executing',
    last_executed_at = now()
WHERE id = %s AND evaluated_generation < 1
"""
LOG = b"INSERT INTO m10_recovery.replay_log (message_id, candidate_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
BEGIN = b"""
INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, action_id, error_code, fingerprint,
                                    source, begun_by, follows, by_itself)
VALUES (%s, %s, 1, 1, (SELECT id FROM m10_recovery.suggestion_action WHERE action_code = %s), %s, %s, %s, 'rules', '[]',
        true)
"""
PUBLISH = b"""
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, event_uuid, destination,
                                 candidate_id, round, by_itself)
VALUES ('recovery_candidate', %s, 'webhook:recovery', %s, %s, 'receiver', %s, 1, true)
"""
Statement = tuple[bytes, Sequence[object]]


def writes(row: Any) -> list[Statement]:
    """The statements for a row of READ_ONE: the first decides, unless that was done; the others follow if it did."""
    number, action, sure, suggestion, explain, rules, _ = trivial(row)
    event_id = uuid4()
    event = {"data": _body(row, action, sure, explain, str(event_id))}
    return [
        (DECIDE, (sure, suggestion, json.dumps(explain), action, json.dumps(rules), number)),
        (LOG, (f"{number}:1", number)),
        (BEGIN, (event_id, number, action, row[3], row[6], row[5])),
        (PUBLISH, (str(number), json.dumps(event), event_id, number)),
    ]


def _body(row: Any, action: str, sure: float, explain: object, event_id: str) -> dict[str, object]:
    *_, match_id, signature, last_seen = row
    return {
        "version": 1, "event_id": event_id, "execution_id": event_id, "candidate_id": row[0], "generation": 1,
        "action": action, "template": {},
        "failure": {
            "match_id": str(match_id), "signature": signature, "code": row[3], "message": row[4], "source": row[5],
            "fingerprint": row[6], "occurrences": row[7], "first_seen": row[8].isoformat(),
            "last_seen": last_seen.isoformat(),
        },
        "confidence": sure, "explain": explain, "decided_by": "rules", "decided_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
