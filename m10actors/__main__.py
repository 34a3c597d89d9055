"""Where `m10` and `python -m m10actors` begin."""

import os
import signal
import sys


def main() -> None:
    """Runs the command. `m10 run` ends with 0 whenever it is told to end: it hears that before anything is loaded."""
    if sys.argv[1:2] == ["run"]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _nothing_has_begun)
    from m10actors import collector

    with collector.loading():
        from m10actors.cli.main import main as command
    command()


def _nothing_has_begun(*_: object) -> None:
    os._exit(0)


if __name__ == "__main__":
    main()
