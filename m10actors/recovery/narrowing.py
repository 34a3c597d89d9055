"""What is left to ask of a condition once the error code is known: the same for all failures with that code."""

from m10actors.recovery.conditions import All, Any, Code, Condition, Not


def narrowed(condition: Condition, code: str) -> Condition | str | None:
    """Of a failure with this error code, in upper case: what the condition says it saw, if the code alone has it hold;
    None, if it cannot hold; else what is to be asked in its place.

    What an `all` would have asked before the code says no is not asked: a pattern that raises there fails no rule.
    """
    match condition:
        case Code():
            return condition.holds_of(code)
        case All(of):
            return _all(condition, [narrowed(each, code) for each in of])
        case Any(of):
            return _any([(each, narrowed(each, code)) for each in of])
        case Not(of):
            left = narrowed(of, code)
            if left is None:
                return str(condition)
            return None if isinstance(left, str) else condition
        case _:
            return condition


def _all(condition: All, left: list[Condition | str | None]) -> Condition | str | None:
    if any(each is None for each in left):
        return None
    said = [each for each in left if isinstance(each, str)]
    return " and ".join(said) if len(said) == len(left) else condition


def _any(parts: list[tuple[Condition, Condition | str | None]]) -> Condition | str | None:
    """It tells of the first part that holds, so that the code settles it only where it settles the first one left. One
    that is left alone stays a part: a history that must hold finds the action of its rule, this one need not hold.
    """
    match [(each, left) for each, left in parts if left is not None]:
        case []:
            return None
        case [(_, str(said)), *_]:
            return said
        case possible:
            return Any(tuple(each for each, _ in possible))
