"""Who runs under which child id at the moment (OTP's registered names). References to actors are kept nowhere else."""

import threading
from typing import TYPE_CHECKING

import pykka

from m10actors.supervision.errors import NoReply, NotRunning

if TYPE_CHECKING:
    from m10actors.supervision.link import Link


class Directory:
    """Child id to current incarnation."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._lock = threading.Lock()

    def enter(self, link: "Link") -> None:
        """Registers an incarnation in place of an earlier one; one that is over already is refused."""
        with self._lock:  # against a supervisor that gives it up, and has it leave, between the question and the entry
            if not link.over:
                self._links[link.child_id] = link

    def leave(self, link: "Link") -> None:
        """Removes this incarnation, never its successor."""
        with self._lock:
            if self._links.get(link.child_id) is link:
                del self._links[link.child_id]

    def tell(self, child_id: str, message: object) -> bool:
        """Puts the message into the child's inbox; False if nobody is registered. True promises no handling."""
        link = self._links.get(child_id)
        return link is not None and link.deliver(message)

    def ask(self, child_id: str, question: object, timeout: float) -> object:
        """What the child's `on_message` returns for the question.

        Only for callers outside the tree: two actors that ask one another wait for ever. Raises NotRunning,
        NoReply after `timeout` seconds, AskFailed if the child crashed on the question.
        """
        link = self._links.get(child_id)
        actor = link.actor if link is not None else None
        if actor is None:
            raise NotRunning(child_id)
        try:
            return actor.actor_ref.ask(Asked(question), timeout=timeout)
        except pykka.ActorDeadError as error:
            raise NotRunning(child_id) from error
        except pykka.Timeout as error:
            raise NoReply(child_id, timeout) from error


class Asked:
    """The envelope of a question, which tells the actor that a caller waits for what becomes of it."""

    __slots__ = ("question",)

    def __init__(self, question: object) -> None:
        self.question = question
