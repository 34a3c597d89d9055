"""Where the files that ship with the package lie: inside the wheel, or at the root of a checkout."""

from pathlib import Path


def shipped(name: str) -> Path:
    """The folder or file `name` (`schema`, `config/m10.toml`, …) as shipped; FileNotFoundError if it is in neither
    place.
    """
    package = Path(__file__).parent
    for root in (package / "_shipped", package.parent):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} was not shipped with this installation of m10actors")
