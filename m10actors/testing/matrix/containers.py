"""The suite over images of servers, where Docker answers: `make test-containers`.

`M10_TEST_IMAGES` names the images, with spaces between; `--local-images` makes some of the servers that are here
(`images.py`), for a place without a registry. What runs are the tests that never stop a server. Ports are published on
127.0.0.1 alone, and no container outlives its run. Ryuk, which would end those of a killed run, is off unless
TESTCONTAINERS_RYUK_DISABLED says otherwise: it is one image more to pull.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from m10actors.testing.matrix.rows import CONTAINER_PARTS, Absent, Kind, Ran, Row, exit_code, files
from m10actors.testing.matrix.running import run
from m10actors.testing.matrix.table import report
from m10actors.testing.servers import HOST
from m10actors.testing.stores import POSTGRES_URL, REDIS_URL
from m10actors.testing.waiting import eventually

IMAGES = "M10_TEST_IMAGES"
DEFAULT_IMAGES = (
    "redis:7.2", "redis:7.4", "redis:8.2", "valkey/valkey:8", "valkey/valkey:9",
    "postgres:14", "postgres:15", "postgres:16", "postgres:17", "postgres:18",
)  # fmt: skip
_PORTS: dict[Kind, int] = {"redis": 6379, "postgres": 5432}
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Container:
    """A server that answers on a port of loopback."""

    name: str
    """With its version, by its own word."""
    environ: Mapping[str, str]
    """What makes the tests run on it."""


def main(words: Sequence[str] | None = None) -> int:
    """Start, run, print; 1 if something failed or nothing ran."""
    parser = ArgumentParser("python -m m10actors.testing.matrix.containers", description=__doc__)
    parser.add_argument("--local-images", action="store_true", help="images made of the servers that are here")
    parser.add_argument("pytest", nargs="*", help="tests and options for pytest, after --")
    options = parser.parse_args(words)
    os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", HOST)
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    with ExitStack() as undo:
        rows = _rows(chosen_images(os.environ) if not options.local_images else _local_images(undo), options.pytest)
    print(f"\n{report(rows)}")
    return exit_code(rows)


def chosen_images(environ: Mapping[str, str]) -> list[str | Absent]:
    """The images that the environment names, or the default ones."""
    return list(environ.get(IMAGES, "").split() or DEFAULT_IMAGES)


def kind_of(image: str) -> Kind:
    """PostgreSQL by its name, else Redis: `registry:5000/library/postgres:18` is the former."""
    name = image.rpartition("/")[2].partition(":")[0]
    return "postgres" if name.startswith("postgres") else "redis"


def _local_images(undo: ExitStack) -> list[str | Absent]:
    from docker.errors import DockerException

    from m10actors.testing.matrix.images import local_images

    try:
        return undo.enter_context(local_images())
    except DockerException as error:
        return [Absent("local images", _cause(error))]


def _rows(images: Sequence[str | Absent], options: Sequence[str]) -> list[Row]:
    return [row for image in images for row in ([image] if isinstance(image, Absent) else _rows_of(image, options))]


def _rows_of(image: str, options: Sequence[str]) -> Iterator[Row]:
    from docker.errors import DockerException

    kind = kind_of(image)
    chosen = options or files(kind, Path("tests/integration"))
    try:
        with _running(image, kind) as container:
            for part in CONTAINER_PARTS[kind]:
                print(f"\n{container.name} ({image}): {part.name}", flush=True)
                yield Ran(container.name, image, part.name, run(part, chosen, container.environ))
    except (DockerException, TimeoutError, RuntimeError) as error:
        yield Absent(image, _cause(error))


@contextmanager
def _running(image: str, kind: Kind) -> Iterator[Container]:
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image)
    container.ports[f"{_PORTS[kind]}/tcp"] = (HOST, None)  # type: ignore[assignment]  # docker's way to say: loopback
    if kind == "postgres":
        container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust").with_command(["-c", "fsync=off"])
    with container:
        name, url, told = _LOOKS[kind]
        try:
            url = url.format(f"{HOST}:{container.get_exposed_port(_PORTS[kind])}")
            version = eventually(lambda: told(url), within=_PATIENCE)
        except (AssertionError, TimeoutError, StopIteration):  # testcontainers stops an iteration: it has ended
            said = b"".join(container.get_logs()).decode(errors="replace").splitlines() or ["nothing"]
            raise TimeoutError(f"it ended, or did not answer in {_PATIENCE:g} s; at last it said: {said[-1]}") from None
        yield Container(version, {name: url})


def _redis_version(url: str) -> str:
    with suppress(redis.RedisError), redis.Redis.from_url(url) as client:
        found = client.info("server")
        return f"Valkey {found['valkey_version']}" if "valkey_version" in found else f"Redis {found['redis_version']}"
    return ""


def _postgres_version(url: str) -> str:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2) as connection:
        return f"PostgreSQL {connection.info.parameter_status('server_version')}".partition(" (")[0]
    return ""


_LOOKS: dict[Kind, tuple[str, str, Callable[[str], str]]] = {
    "redis": (REDIS_URL, "redis://{}?db=0", _redis_version),
    "postgres": (POSTGRES_URL, "postgresql://postgres@{}/postgres", _postgres_version),
}


def _cause(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
