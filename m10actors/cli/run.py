"""`m10 run`: the engine on servers that exist."""

import typer

from m10actors import logs
from m10actors.application import Application, Parts
from m10actors.cli.config import ConfigOption, SetOption, load
from m10actors.cli.errors import ExitCode
from m10actors.cli.process import Life, run_until_asked, start
from m10actors.config import Loaded, Settings
from m10actors.postgres.errors import StoreError, StoreUnavailable
from m10actors.postgres.migrate import pending
from m10actors.postgres.pool import reachable
from m10actors.shipped import shipped
from m10actors.streams import StreamsError

log = logs.logger(__name__)


def run(file: ConfigOption = None, assignments: SetOption = None) -> None:
    """Runs the engine: takes failures in, decides, delivers. Ends on SIGTERM or Ctrl-C, after a drain."""
    loaded = load(file, assignments)
    loaded.require("database.url")
    logs.setup(loaded.settings.process.log_level, loaded.settings.process.log_format)
    for notice in loaded.notices:
        log.warning("configuration_notice", notice=notice)
    _check_postgres(loaded.settings)
    life = Life()
    with life.signals():
        raise typer.Exit(serve(loaded, life))


def serve(loaded: Loaded, life: Life) -> int:
    """Runs an application until it is asked to end; the exit code."""
    application = Application(loaded)
    _check_redis(application.parts)
    start(application, life)
    return run_until_asked(application, life)


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


def _check_redis(parts: Parts) -> None:
    """Redis is the fast path only, and may come later."""
    try:
        parts.prober.probe()
    except StreamsError as error:
        url = str(parts.settings.redis.url)
        log.warning("redis_unreachable", url=url, cause=str(error), consequence="work goes through PostgreSQL")
