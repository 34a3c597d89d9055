"""The chain of evaluators that the configuration names."""

from m10actors.config import Settings
from m10actors.config.evaluators import Evaluator as EvaluatorSettings
from m10actors.config.kinds import plain_json
from m10actors.evaluators.chain import Chain, Step
from m10actors.evaluators.loading import load
from m10actors.recovery.decision import RULES


def chain(settings: Settings) -> Chain:
    """With every evaluator made anew. InvalidEvaluator names the first that cannot be used."""
    return Chain(tuple(_step(settings, name) for name in settings.decisions.evaluators))


def _step(settings: Settings, name: str) -> Step:
    if name == RULES:
        return Step(RULES, None)
    given = settings.evaluators.get(name, EvaluatorSettings())
    options = {option: plain_json(value) for option, value in given.options.items()}
    return Step(
        name=name,
        evaluator=load(name, given.use, options),
        batch_size=given.batch_size,
        leased=given.leased,
        timeout=given.timeout,
        concurrency=given.concurrency,
        retries=given.retries,
        backoff=given.backoff,
        max_wait=given.max_wait,
        abstains=given.on_failure == "abstain",
        provenance=given.provenance,
    )
