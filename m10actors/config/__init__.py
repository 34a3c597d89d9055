"""Settings: defaults < TOML file < environment < flags, checked as a whole before anything starts, then frozen."""

from m10actors.config.errors import ConfigError, Problem
from m10actors.config.load import Loaded, load
from m10actors.config.model import Settings

__all__ = ["ConfigError", "Loaded", "Problem", "Settings", "load"]
