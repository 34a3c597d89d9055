"""An explanation for programs."""

from m10actors.recovery.explaining.explanation import Explanation
from m10actors.recovery.explaining.telling import told


def document(explanation: Explanation) -> dict[str, object]:
    """All of it, JSON-able; `text` is what a person reads."""
    decision, second = explanation.decision, explanation.runner_up
    return {
        "action": decision.action,
        "total": decision.total,
        "confidence": decision.confidence,
        "execute": explanation.executes,
        "reason": explanation.refused or decision.reason.value,
        "evaluator": decision.evaluator,
        "rules_version": decision.rules_version,
        "rules": decision.rules_evaluated(),
        "closed": [reason.value for reason in explanation.closed],
        "runner_up": second
        and {
            "action": second.action,
            "best": second.best,
            "confidence": second.score.confidence,
            "rules": second.rules,
        },
        "changes": [
            {
                "change": str(flip.change),
                "size": flip.change.size,
                "action": flip.after.action,
                "confidence": flip.after.confidence,
                "execute": flip.after.execute,
            }
            for flip in explanation.flips
        ],
        "text": [{"title": title, "lines": lines} for title, lines in told(explanation)],
    }
