"""Images of the servers that are here, made by `docker import` of a folder: for a place without a registry.

An image holds the programs where they lie on this machine, the libraries that `ldd` tells, and a shell. They stand for
the public images in their manners: the port, the user, the variables that `containers.py` sets.
"""

import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from m10actors.testing.matrix.finding import Binary, find
from m10actors.testing.matrix.rows import Absent

if TYPE_CHECKING:
    from docker import APIClient

_SHELL = Path("/bin/sh")
_SYSTEM = ("/usr/share/zoneinfo", "/usr/lib/locale/C.utf8")  # what PostgreSQL reads, as a distribution builds it
_USERS = "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n"
_LIBRARY = re.compile(r"(/\S+) \(0x")
_START_REDIS = "exec {server} --bind 0.0.0.0 --protected-mode no --dir /tmp --save ''\n"
_START_POSTGRES = """set -e
{folder}/initdb -D /tmp/data --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync
echo 'host all all all trust' >> /tmp/data/pg_hba.conf
exec {folder}/postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=/tmp -c jit=off "$@"
"""


@contextmanager
def local_images() -> Iterator[list[str | Absent]]:
    """Names of images of each server that can be found; they are removed in the end. DockerException without Docker."""
    import docker

    client = docker.from_env()
    made: list[str | Absent] = []
    with tempfile.TemporaryDirectory(prefix="m10-images-") as folder:
        try:
            for found in find(place := Path(folder)):
                image = _imported(client.api, found, place) if isinstance(found, Binary) else found
                made.append(image)
            yield made
        finally:
            for name in made:
                if isinstance(name, str):
                    client.images.remove(name, force=True)
            client.close()


def _imported(api: "APIClient", found: Binary, folder: Path) -> str:
    """The name of an image of this server, in the engine now."""
    product, _, version = found.name.lower().partition(" ")
    name = "m10-test/postgres" if found.kind == "postgres" else f"m10-test/{product}"
    archive = folder / f"{product}-{version}.tar"
    with tarfile.open(archive, "w", dereference=True) as tar:
        fill(tar, found)
    changes = ["USER 999", 'ENTRYPOINT ["/bin/sh", "/start"]']
    api.import_image_from_file(str(archive), name, version, changes)
    archive.unlink()
    return f"{name}:{version}"


def fill(tar: tarfile.TarFile, found: Binary) -> None:
    """All that the server needs, readable by everybody."""
    tar.addfile(_folder("tmp", 0o1777))
    tar.addfile(_folder("etc", 0o755))
    _write(tar, "etc/passwd", _USERS)
    if found.kind == "redis":
        _write(tar, "start", _START_REDIS.format(server=found.path))
        places, programs = [found.path], [found.path]
    else:
        _write(tar, "start", _START_POSTGRES.format(folder=found.path))
        home = found.path.parent
        modules = (path for path in home.glob("lib/*.so*") if "llvm" not in path.name)
        places = [home, Path("/usr/share/postgresql", home.name), *map(Path, _SYSTEM)]
        programs = [found.path / "postgres", found.path / "initdb", *modules]
    for path in _whole([_SHELL, *places, *libraries([_SHELL, *programs])]):
        name = str(path).lstrip("/")
        if path.is_dir():
            tar.addfile(_folder(name, 0o755))  # said of each, or the engine makes it for root alone
        else:
            tar.add(path, name, filter=_readable)


def libraries(programs: Iterable[Path]) -> list[Path]:
    """The shared libraries of these programs, the loader among them; what `ldd` does not find is left out."""
    told = (subprocess.run(["ldd", str(each)], check=False, capture_output=True, text=True).stdout for each in programs)
    found = (os.path.normpath(path) for text in told for path in _LIBRARY.findall(text))
    return [Path(path) for path in dict.fromkeys(found)]


def _whole(places: Iterable[Path]) -> list[Path]:
    """The files, the folders with all that is in them, and the folders above; each once, from the top down."""
    found = {path for place in places for path in (*place.parents[:-1], place, *place.rglob("*"))}
    return sorted(path for path in found - {Path("/tmp"), Path("/etc")} if path.exists())


def _readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.mode |= 0o755 if entry.mode & 0o100 else 0o644
    return entry


def _folder(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry


def _write(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), 0o644
    tar.addfile(entry, BytesIO(text.encode()))
