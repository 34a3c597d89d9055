"""Asks leased evaluators, one task at a time, so that nobody else has to wait for them."""

import itertools

from m10actors.actors.messages import EVALUATOR_DISPATCHER, Answered, Ask, Ready, Tick
from m10actors.evaluators.run import run_task
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

AGAIN = Tick("again")
SAY_AGAIN_SECONDS = 1.0
_incarnations = itertools.count(1)


class EvaluatorWorker(Actor):
    """Touches no store: it holds neither a row nor a connection while an evaluator thinks."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._incarnation = next(_incarnations)
        self._is_idle = True

    def on_begin(self) -> None:
        self._is_ready()

    def on_message(self, message: object) -> None:
        match message:
            case Ask(number, task, incarnation) if incarnation == self._incarnation and not self.stopping.is_set():
                self._is_idle = False
                self.doing(f"asking {task.evaluator} about {len(task.batch)}")
                outcomes = run_task(task, self.goes_on)
                failpoint("evaluator.before_answer")
                self.tell_child(EVALUATOR_DISPATCHER, Answered(self.child_id, number, outcomes))
                self._is_ready()
            case Tick("again") if self._is_idle:
                self._is_ready()

    def _is_ready(self) -> None:
        """Repeated, because a dispatcher that crashed has forgotten it."""
        self._is_idle = True
        self.doing("idle")
        self.tell_child(EVALUATOR_DISPATCHER, Ready(self.child_id, self._incarnation))
        self.tick_in(SAY_AGAIN_SECONDS, AGAIN)
