"""The whole tree is checked before anything starts, and every problem is said at once."""

import math
from collections import Counter
from collections.abc import Iterator

from m10actors.supervision.backoff import longest_wait
from m10actors.supervision.errors import InvalidSpec
from m10actors.supervision.spec import AutoShutdown, ChildSpec, ChildType, Restart, SupervisorSpec

AnySpec = ChildSpec | SupervisorSpec


def check(root: SupervisorSpec) -> None:
    """Raises InvalidSpec with every problem of the whole tree."""
    specs = tuple(_walk(root))
    problems = [
        f"the id {name!r} stands {n} times" for name, n in Counter(spec.id for spec, _ in specs).items() if n > 1
    ]
    for spec, above in specs:
        found = _supervisor_problems(spec) if isinstance(spec, SupervisorSpec) else _child_problems(spec)
        problems.extend(f"{spec.id}: {problem}" for problem in (*found, *_common_problems(spec, above)))
    if problems:
        raise InvalidSpec(tuple(problems))


def _walk(spec: AnySpec, above: AutoShutdown = AutoShutdown.NEVER) -> Iterator[tuple[AnySpec, AutoShutdown]]:
    """Every spec of the tree, with the auto_shutdown of its supervisor."""
    yield spec, above
    if isinstance(spec, SupervisorSpec):
        for child in spec.children:
            yield from _walk(child, spec.auto_shutdown)


def _child_problems(spec: ChildSpec) -> Iterator[str]:
    yield from _name_problems("an id", spec.id)
    if not (0 <= spec.shutdown < math.inf or (spec.shutdown == math.inf and spec.type is ChildType.SUPERVISOR)):
        yield f"shutdown must be 0 seconds or more, got {spec.shutdown}"
    if not 0 < spec.start_timeout < math.inf:
        yield f"start_timeout must be more than 0 seconds, got {spec.start_timeout}"
    if spec.stall_after is not None and not 0 < spec.stall_after < math.inf:
        yield f"stall_after must be more than 0 seconds, got {spec.stall_after}"
    if spec.period is not None and not 0 < spec.period < math.inf:
        yield f"period must be more than 0 seconds, got {spec.period}"


def _supervisor_problems(spec: SupervisorSpec) -> Iterator[str]:
    yield from _name_problems("an id", spec.id)
    if spec.intensity < 0:
        yield f"intensity must be 0 or more, got {spec.intensity}"
    if not 0 < spec.period < math.inf:
        yield f"period must be more than 0 seconds, got {spec.period}"
    if not 0 <= spec.resume_within < math.inf:
        yield f"resume_within must be 0 seconds or more, got {spec.resume_within}"
    if not 0 < spec.backoff.base <= spec.backoff.cap < math.inf:
        yield f"backoff must have 0 < base <= cap, got base {spec.backoff.base} and cap {spec.backoff.cap}"
    elif 0 < spec.period <= (waiting := longest_wait(spec.backoff, spec.intensity)):
        yield f"backoff can wait {waiting:g} s over {spec.intensity} restarts, past the period of {spec.period:g} s"


def _common_problems(spec: AnySpec, above: AutoShutdown) -> Iterator[str]:
    for name in sorted(spec.needs):
        yield from _name_problems("a need", name)
    if spec.significant and spec.restart is Restart.PERMANENT:
        yield "a permanent child cannot be significant: it never ends by itself"
    if spec.significant and above is AutoShutdown.NEVER:
        yield "a significant child wants a supervisor with auto_shutdown any_significant or all_significant, got never"


def _name_problems(what: str, name: str) -> Iterator[str]:
    if not name or not name.isprintable() or any(letter.isspace() for letter in name):
        yield f"{what} must be printable, without spaces, not empty, got {name!r}"
