"""Evaluators: who proposes what to do about a failure. The rules are the built-in one; yours go beside them
(docs/evaluators.md).
"""

from m10actors.evaluators.protocol import Answer, Evaluator, Later, Proposal
from m10actors.recovery.actions import Action
from m10actors.recovery.facts import Candidate, Facts, History

__all__ = ["Action", "Answer", "Candidate", "Evaluator", "Facts", "History", "Later", "Proposal"]
