"""Rule files: how they are read and checked, and the rules of a running process. docs/rules.md has the format."""

from m10actors.rulebook.book import Book
from m10actors.rulebook.compiling import configured, load, proposed

__all__ = ["Book", "configured", "load", "proposed"]
