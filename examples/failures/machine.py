"""Failures of the operating system: errno by errno, and a disk that really is full."""

import errno
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from programs import run_json
from report import Report, provoke

_FILL = """
import errno, json, sys
folder, runs = sys.argv[1], int(sys.argv[2])
for run in range(1, runs + 1):
    try:
        with open(f"{folder}/segment-{run}", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
    except OSError as error:
        print(json.dumps({"code": errno.errorcode[error.errno], "raw": f"segment {run}: {error}"}))
"""


def errors(folder: Path) -> Iterator[Report]:
    """What files, descriptors and sockets refuse, three times each."""
    for run in range(1, 4):
        for action in _errors(folder, run):
            yield provoke("errno", "files", action, OSError, name=_errno)
    yield from _too_many_files(folder)


def _errno(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode.get(number or 0, type(error).__name__)


def _errors(folder: Path, run: int) -> Iterator[Callable[[], object]]:
    """One action for each error that a program meets with files and sockets."""
    here = folder / f"errno-{run}"
    here.mkdir()
    plain, loop = here / "plain", here / "loop"
    plain.write_text("#!/no/such/interpreter")
    loop.symlink_to(loop)
    garbage = here / "garbage"
    garbage.write_bytes(b"\x7fGARBAGE")
    garbage.chmod(0o700)
    yield (here / f"missing-{run}.csv").read_text
    yield lambda: os.execv(plain, [str(plain)])  # not executable: EACCES, for root too
    yield lambda: os.execv(garbage, [str(garbage)])  # no program: ENOEXEC
    yield here.read_text
    yield (plain / "below").read_text
    yield here.mkdir
    yield here.rmdir
    yield loop.read_text
    yield (here / ("n" * 300)).read_text
    yield lambda: os.read(-1, 1)
    yield partial(_seek_before_the_start, plain, run)
    yield lambda: os.kill(2**22 + run, 0)
    yield _write_to_nobody
    yield _bind_twice
    yield _read_an_empty_pipe


def _seek_before_the_start(path: Path, distance: int) -> None:
    with path.open("rb", buffering=0) as file:
        file.seek(-distance)


def _write_to_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    finally:
        os.close(writer)


def _bind_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.socket() as second:
        second.bind(first.getsockname())


def _read_an_empty_pipe() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        os.read(reader, 1)
    finally:
        os.close(reader)
        os.close(writer)


def _too_many_files(folder: Path) -> Iterator[Report]:
    """The limit on open files, lowered for a moment."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for run in range(1, 6):
        opened: list[int] = []

        def open_all(name: Path = folder / f"shard-{run}", opened: list[int] = opened) -> None:
            while True:
                opened.append(os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC))

        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            yield provoke("errno", "index", open_all, OSError, name=_errno)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for file in opened:
                os.close(file)


def full_disk(folder: Path) -> Iterator[Report]:
    """A file system of 1 MB in a mount namespace of its own; /dev/full where none can be made."""
    disk = folder / "disk"
    disk.mkdir()
    script = folder / "fill.py"
    script.write_text(_FILL)
    mount = f'mount -t tmpfs -o size=1m none "{disk}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    found = run_json([*command, sys.executable, "-I", "-S", str(script), str(disk), "8"], folder)
    for each in found:
        yield Report("full disk", "archive", str(each["code"]), str(each["raw"]), {"disk": "tmpfs"})
    for _ in range(0 if found else 8):
        yield provoke("full disk", "archive", _write_to_full, OSError, name=_errno, disk="/dev/full")


def _write_to_full() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
