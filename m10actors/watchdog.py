"""Whether a tree makes progress: what a watchdog of the process needs to know. Existing is not enough."""

from m10actors.supervision import ChildState


def silent(tree: ChildState, limit: float) -> tuple[str, ...]:
    """The supervisors that have shown no progress for more than `limit` seconds.

    A supervisor looks after its children about once a second, and takes out those that are stuck: while all supervisors
    do, whatever stands still is healed, and only they need to be looked after from outside.
    """
    here = (tree.id,) if tree.type == "supervisor" and (tree.progress_age or 0.0) > limit else ()
    return here + tuple(name for child in tree.children for name in silent(child, limit))
