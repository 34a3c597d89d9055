"""What can keep a verb from its work: one message for the caller, and an exit code (contracts, section 7)."""

import os
import sys
import traceback
from enum import IntEnum

from m10actors import logs


class ExitCode(IntEnum):
    """How a verb ended."""

    DONE = 0
    FOUND_WRONG = 1
    WRONG_USAGE = 2
    UNREACHABLE = os.EX_UNAVAILABLE
    GAVE_UP = os.EX_SOFTWARE


class CommandError(Exception):
    """A verb cannot do what was asked; the text says why and, where there is a way out, which."""

    exit_code = ExitCode.FOUND_WRONG


class WrongUsage(CommandError):
    """What was asked for is wrong, or how things are configured."""

    exit_code = ExitCode.WRONG_USAGE


class Unreachable(CommandError):
    """A store or an instance cannot be reached."""

    exit_code = ExitCode.UNREACHABLE


def explain(error: Exception) -> ExitCode:
    """Says on standard error what went wrong; the exit code. Where it is a bug, debug logging shows the traceback."""
    code, message = _meaning(error)
    lines = "\n".join(logs.escape(line) for line in message.splitlines())
    sys.stderr.write(f"m10: {lines}\n")
    return code


def _meaning(error: Exception) -> tuple[ExitCode, str]:
    # Imported only now: a verb that succeeds does not wait for them.
    from m10actors.config import ConfigError
    from m10actors.delivery.kinds import InvalidEventKind
    from m10actors.embedded import DataFolderInUse, EmbeddedError
    from m10actors.evaluators.loading import InvalidEvaluator
    from m10actors.instance import RunFolderError
    from m10actors.postgres.errors import NotPermitted, StoreError, StoreUnavailable
    from m10actors.postgres.migrate import MigrationError
    from m10actors.streams import RedisMisconfigured, StreamsError
    from m10actors.web.sockets import CannotListen

    match error:
        case CommandError():
            return error.exit_code, str(error)
        case (
            ConfigError()
            | InvalidEvaluator()
            | InvalidEventKind()
            | MigrationError()
            | RunFolderError()
            | DataFolderInUse()
            | RedisMisconfigured()
            | CannotListen()
        ):
            return ExitCode.WRONG_USAGE, str(error)
        case StreamsError() | EmbeddedError():
            return ExitCode.UNREACHABLE, str(error)
        case StoreUnavailable():
            return ExitCode.UNREACHABLE, f"PostgreSQL is unavailable: {error}"
        case NotPermitted():
            return ExitCode.WRONG_USAGE, f"PostgreSQL does not permit it to this role: {error}"
        case StoreError(sqlstate="3F000" | "42P01" | "42703" | "42883"):  # no such schema, table, column, function
            return ExitCode.WRONG_USAGE, f"the database lacks the schema of this version, run m10 migrate: {error}"
        case StoreError():
            return ExitCode.FOUND_WRONG, f"PostgreSQL refused: {error}"
        case _:
            return ExitCode.GAVE_UP, _bug(error)


def _bug(error: Exception) -> str:
    text = logs.redact(f"internal error: {type(error).__name__}: {error}"[: logs.MAX_VALUE])
    if os.environ.get("M10_LOG_LEVEL", "").strip() != "debug":
        return f"{text} (M10_LOG_LEVEL=debug shows where)"
    return text + "\n" + logs.redact("".join(traceback.format_exception(error)))
