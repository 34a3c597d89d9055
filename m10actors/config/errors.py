"""What is wrong with a configuration, as data."""

from collections.abc import Iterable
from dataclasses import dataclass

from m10actors import logs


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `got` never holds a secret; `origin` says who gave the value."""

    key: str
    expected: str
    got: str
    origin: str

    def __str__(self) -> str:
        return logs.escape(f"{self.key}: expected {self.expected}, got {self.got} ({self.origin})")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = "1 problem in the configuration:" if count == 1 else f"{count} problems in the configuration:"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])
