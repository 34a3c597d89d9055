"""`python -m m10actors` is `m10`."""

from m10actors.cli.main import main

main()
