"""The names of the keys, and the form of them that a Redis Cluster needs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamNames:
    """The keys of one queue. What else is kept lies beside the stream, under its name, and so shares its hash tag."""

    stream: str = "m10:evaluate:stream"
    group: str = "m10:evaluate:group"
    dead_letter: str = "m10:evaluate:dead-letter"

    @property
    def incarnation(self) -> str:
        """The key whose random value tells one life of the stream's data from the next."""
        return f"{self.stream}:incarnation"

    @property
    def probes(self) -> str:
        """The key in which the health probes are counted."""
        return f"{self.stream}:probes"

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them."""
        return self.stream, self.dead_letter, self.incarnation, self.probes

    def tagged(self, tag: str) -> "StreamNames":
        """The same names with `{tag}` in every key, so that all of them lie in one slot of a cluster.

        A leading `tag:` becomes the tag itself: `m10:evaluate:stream` with the tag `m10` is `{m10}:evaluate:stream`.
        """
        return StreamNames(_tagged(self.stream, tag), self.group, _tagged(self.dead_letter, tag))


def _tagged(key: str, tag: str) -> str:
    return f"{{{tag}}}:{key.removeprefix(f'{tag}:')}"
