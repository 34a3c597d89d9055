"""m10actors: turns the failures of a fleet into recovery actions and carries them out."""

__version__ = "0.1.0"
