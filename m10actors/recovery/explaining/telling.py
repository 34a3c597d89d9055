"""An explanation in the words of whoever is on call at night."""

from collections.abc import Iterator
from typing import Final

from m10actors.recovery.confidence import BASIC_SHARE, MIN_CASES, WEIGHTED_SHARE, Cases, basic_rate, confidence
from m10actors.recovery.decision import NOBODY, RULES, Decision
from m10actors.recovery.explaining.explanation import Explanation
from m10actors.recovery.explaining.stops import closed
from m10actors.recovery.phrases import counted, shown, span
from m10actors.recovery.rules import RuleMatch
from m10actors.recovery.scoring import TOP_SCORES
from m10actors.recovery.wording import past_cases

SHOWN_FLIPS: Final = 6
"""How many of the changes that would have it decided otherwise are told."""

Section = tuple[str, tuple[str, ...]]
"""A title, and the lines below it."""


def told(explanation: Explanation) -> tuple[Section, ...]:
    """All of it. Foreign text (codes, sources, errors of rules) stands in it as it came: who prints it escapes it."""
    decision = explanation.decision
    whats = explanation.proposed or "no action"
    sections = (
        ("What failed", _failure(explanation)),
        (f"Why {whats}", _rules(explanation)),
        (f"Why a confidence of {decision.confidence:g}", (*_arithmetic(decision), *_history(explanation))),
        ("Why not by itself" if not explanation.executes else "Why by itself", _gates(explanation)),
        ("The runner-up", _runner_up(explanation)),
        ("What would change it", _flips(explanation)),
    )
    return tuple((title, tuple(lines)) for title, lines in sections)


def _failure(explanation: Explanation) -> Iterator[str]:
    candidate = explanation.seen.facts.candidate
    first = "" if candidate.age is None else f", for the first time {span(candidate.age)} before"
    yield f"{candidate.error_code} from {candidate.source}, seen {counted(candidate.occurrence_count, 'time')}{first}"
    if candidate.error_message:
        yield shown(candidate.error_message)
    for window, seen in candidate.rates:
        yield f"about {seen:.0f} of them within {span(window)}"


def _rules(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    if decision.evaluator == NOBODY:
        yield "none of the evaluators that were asked has decided"
    elif decision.evaluator != RULES:
        yield f"the evaluator {decision.evaluator} was asked, not the rules"
    for match in decision.matched:
        adjusted = f" ({match.adjustment:+g})" if match.adjustment else ""
        yield f"{match.rule}: {match.action} with {match.score:g}{adjusted}, because {match.because}"
    for failed in decision.failed_rules:
        yield f"{failed.rule} failed and took no part: {failed.error}"
    yield from _ranked(explanation)


def _ranked(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    match decision.matched:
        case ():
            if not explanation.seen.policy.evaluator_enabled:
                yield "the evaluator was switched off: no rule was asked"
            elif decision.evaluator == RULES:
                yield "no rule matches"
        case (first, second, *_) if first.score == second.score and first.action != second.action:
            yield f"two have the best score, {first.score:g}: {first.rule} goes first by its priority or its place"
        case (first, _, *_):
            yield f"the best score decides: {first.rule} with {first.score:g}"
        case _:
            pass
    if explanation.proposed is not None and decision.action is None:
        yield f"{explanation.proposed} would be it, but is too unsure to be proposed"


def _arithmetic(decision: Decision) -> Iterator[str]:
    best = decision.matched[:TOP_SCORES]
    if not best:
        yield "0, because nothing matched"
        return
    which = f"the mean of the best {len(best)} scores" if len(best) > 1 else "the only score"
    summands = " + ".join(f"{match.score:g}" for match in best)
    mean = f"({summands}) / {len(best)} = {decision.total:g}" if len(best) > 1 else f"{decision.total:g}"
    yield f"{mean}, {which}"
    adjusting = [match for match in decision.matched if match.adjustment]
    if adjusting:
        yield _adjusted(decision, adjusting)


def _adjusted(decision: Decision, adjusting: list[RuleMatch]) -> str:
    summands = " ".join(f"{match.adjustment:+g} ({match.rule})" for match in adjusting)
    whole = decision.total + sum(match.adjustment for match in adjusting)
    bound = ", and it is never more than 1" if whole > 1 else ", and it is never less than 0" if whole < 0 else ""
    return f"{decision.total:g} {summands} = {round(whole, 4):g}{bound}"


def _history(explanation: Explanation) -> Iterator[str]:
    facts = explanation.seen.facts
    yield f"history: {past_cases(facts.history)}"
    for scope, known in (("this very failure", facts.history.fingerprint), ("this error code", facts.history.code)):
        for cases in known:
            yield f"{cases.action}, {scope}: {_worth(cases)}"
    action = facts.actions.get(explanation.proposed or "")
    if action is not None and action.applications:
        yield f"{action.code}, whatever for: it helped in {action.successes} of {action.applications} cases"


def _worth(cases: Cases) -> str:
    helped = (
        f"it helped in {cases.successes} of {counted(cases.matches, 'case')}, which weigh {cases.weight:.3g} by age"
    )
    if cases.matches < MIN_CASES:
        return f"{helped}; fewer than {MIN_CASES} count for nothing"
    by_weight = f"{WEIGHTED_SHARE:g} × {cases.weighted_rate:.3g} by weight"
    by_number = f"{BASIC_SHARE:g} × {basic_rate(cases):.3g} by number"
    rate = confidence(cases)
    return f"{helped}: {by_weight} + {by_number} = {'too little to count' if rate is None else f'{rate:g}'}"


def _gates(explanation: Explanation) -> Iterator[str]:
    if explanation.refused is not None:
        yield f"everything was in favour of it, but PostgreSQL did not admit it: {explanation.refused}"
        return
    if not explanation.closed:
        yield "every gate is open"
        return
    first, *others = (closed(reason, explanation) for reason in explanation.closed)
    yield first
    for other in others:
        yield f"behind it: {other}"


def _runner_up(explanation: Explanation) -> Iterator[str]:
    if (second := explanation.runner_up) is None:
        yield "none: no other action was proposed"
        return
    yield f"{second.action} with {second.best:g}, {explanation.standings[0].best - second.best:.4g} less"
    yield f"by {', '.join(second.rules)} alone it would have a confidence of {second.score.confidence:g}"


def _flips(explanation: Explanation) -> Iterator[str]:
    shown_ones, rest = explanation.flips[:SHOWN_FLIPS], explanation.flips[SHOWN_FLIPS:]
    acting = next((flip for flip in explanation.flips if flip.after.execute), None)
    for nth, flip in enumerate((*shown_ones, *([acting] if acting in rest else []))):
        yield f"{'the smallest: ' if nth == 0 else 'or '}{flip}"
    if not explanation.flips:
        yield "no single change that was looked for"
    if not explanation.executes and acting is None and (why_far := _far(explanation)):
        yield why_far
    if not explanation.rules_known:
        yield "it did not go by the rules of now, so changes of counts, past cases and rules were not looked for"


def _far(explanation: Explanation) -> str:
    if explanation.refused is not None:
        return "what PostgreSQL did not admit waits for a person, also when it would be admitted later"
    if len(explanation.closed) > 1:
        return f"for it to act by itself {len(explanation.closed)} gates have to open"
    return "no single change has it act by itself" if explanation.flips else ""
