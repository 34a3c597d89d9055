"""What `m10 run` does: checks its stores, runs the application, reloads its configuration."""

import os
from pathlib import Path

import typer

from m10actors import logs
from m10actors.application import Application
from m10actors.cli.config import load
from m10actors.cli.errors import ExitCode
from m10actors.cli.process import Life, run_until_asked, start
from m10actors.config import ConfigError, Settings
from m10actors.evaluators.loading import InvalidEvaluator
from m10actors.postgres.errors import StoreError, StoreUnavailable
from m10actors.postgres.migrate import pending
from m10actors.postgres.prober import reachable
from m10actors.shipped import shipped
from m10actors.streams import RedisMisconfigured, StreamsError
from m10actors.systemd import ServiceManager

log = logs.logger(__name__)


def serve(file: Path | None, assignments: list[str] | None, life: Life) -> ExitCode:
    """Runs an application until it is asked to end; the exit code. Asked before it has begun, it does not begin."""
    manager = ServiceManager.from_environment(os.environ)
    loaded = load(file, assignments)
    loaded.require("database.url")
    logs.setup(loaded.settings.process.log_level, loaded.settings.process.log_format)
    for notice in loaded.notices:
        log.warning("configuration_notice", notice=notice)
    try:
        _check_postgres(loaded.settings)
    except typer.Exit:
        if not life.is_ending:
            raise
    if life.is_ending:
        return ExitCode.DONE
    application = Application(loaded)
    _check_redis(application)
    start(application, life)
    return run_until_asked(application, life, manager, lambda: _reload(application, file, assignments))


def _reload(application: Application, file: Path | None, assignments: list[str] | None) -> None:
    """Reads the whole configuration again; one that cannot be used leaves all as it is, with everything that is wrong
    in the log.
    """
    try:
        application.reload(load(file, assignments))
    except ConfigError as error:
        for problem in error.problems:
            log.error("reload_refused", problem=str(problem))
    except InvalidEvaluator as error:
        log.error("reload_refused", problem=str(error))
    except StoreError as error:
        log.error("reload_refused", problem=f"PostgreSQL could not be told: {error}")


def _check_postgres(settings: Settings) -> None:
    """PostgreSQL has to be there, and migrated."""
    address = settings.database.url
    assert address is not None
    if failure := reachable(address.get_secret_value()):
        typer.echo(f"m10: PostgreSQL ({address}) cannot be used: {failure}", err=True)
        raise typer.Exit(ExitCode.UNREACHABLE if isinstance(failure, StoreUnavailable) else ExitCode.WRONG_USAGE)
    try:
        missing = pending(address.get_secret_value(), shipped("schema"))
    except StoreError as error:
        typer.echo(f"m10: the schema cannot be looked at ({error}): run m10 migrate first", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE) from error
    if missing:
        typer.echo(f"m10: the database lacks {', '.join(missing)}: run m10 migrate first", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE)


def _check_redis(application: Application) -> None:
    """Redis is the fast path only, and may come later; but one that answers has to let us in."""
    url = str(application.settings.redis.url)
    try:
        application.parts.prober.probe()
    except RedisMisconfigured as error:
        application.stop()
        typer.echo(f"m10: Redis ({url}) cannot be used: {error}", err=True)
        raise typer.Exit(ExitCode.WRONG_USAGE) from error
    except StreamsError as error:
        log.warning("redis_unreachable", url=url, cause=str(error), consequence="work goes through PostgreSQL")
