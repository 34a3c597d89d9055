"""`m10 run`: the engine on servers that exist."""

from m10actors import collector
from m10actors.cli.flags import ConfigOption, SetOption
from m10actors.cli.process import Life, leave


def run(file: ConfigOption = None, assignments: SetOption = None) -> None:
    """Runs the engine: takes failures in, decides, delivers. Ends on SIGTERM or Ctrl-C, after a drain."""
    life = Life(reloads=True)
    with life.signals():
        with collector.loading():
            from m10actors.cli.serving import serve  # most of a second, in which the end can be asked for already

        leave(serve(file, assignments, life))
