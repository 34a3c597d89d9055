"""Which running instance a verb means, by the files that instances keep in their run folders (contracts, section 3)."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from m10actors.cli.errors import Unreachable, WrongUsage
from m10actors.config import Loaded
from m10actors.instance import Known, known

_BY_THE_HOST = {"environment RUNTIME_DIRECTORY", "environment XDG_RUNTIME_DIR", "default"}


@dataclass(frozen=True, slots=True)
class Found:
    """A live instance: where it can be reached, and the token that its data folder keeps for this user."""

    worker: str
    api: str | None
    ops: tuple[str, ...]
    token_file: Path | None


@dataclass(frozen=True, slots=True)
class Place:
    """A run folder to look at, and the data folder that it belongs to."""

    run_dir: Path
    data_dir: Path | None = None


def find(loaded: Loaded, data_dir: Path | None = None, instance: str | None = None) -> Found:
    """The one live instance at the first place that has any; Unreachable without one, WrongUsage with several.

    A place that was named, by `data_dir` or by the run folder in file or environment, is the only one looked at; else
    these are the nearest `.m10` upwards of the working folder and this user's run folder.
    """
    places = [Place(data_dir / "run", data_dir)] if data_dir is not None else list(_places(loaded))
    for place in places:
        if alive := [one for one in _known(place) if one.alive]:
            return _found(_chosen(alive, instance), place)
    looked = ", ".join(str(place.run_dir) for place in places)
    raise Unreachable(
        f"no instance of m10 runs here (looked in {looked}): start one, or say where with --url or --data-dir"
    )


def nearest() -> Path | None:
    """The nearest data folder `.m10` upwards of the working folder that is this user's."""
    folders = (folder / ".m10" for folder in (Path.cwd(), *Path.cwd().parents))
    return next(filter(_is_ours, folders), None)


def _places(loaded: Loaded) -> Iterator[Place]:
    run_dir = loaded.settings.process.run_dir
    assert run_dir is not None, "loading sets it from the surroundings"
    if loaded.origins["process.run_dir"] in _BY_THE_HOST and (data_dir := nearest()) is not None:
        yield Place(data_dir / "run", data_dir)
    yield Place(run_dir)


def _is_ours(folder: Path) -> bool:
    """Whether the folder exists and is this user's: what somebody else put in the way is not trusted."""
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid()


def _known(place: Place) -> list[Known]:
    try:
        return known(place.run_dir)
    except OSError as error:
        raise WrongUsage(f"the run folder {place.run_dir} cannot be looked at: {error.strerror}") from error


def _chosen(alive: list[Known], instance: str | None) -> Known:
    wanted = [one for one in alive if instance is None or instance == one.worker or instance in one.worker.split(":")]
    match wanted:
        case [one]:
            return one
        case []:
            raise WrongUsage(f"no instance {instance} runs here, but:\n{_listed(alive)}")
        case _:
            raise WrongUsage(f"several instances run here, choose one with --instance:\n{_listed(wanted)}")


def _listed(instances: list[Known]) -> str:
    return "\n".join(f"  {one.worker}  {one.facts.get('api', '')}" for one in instances)


def _found(one: Known, place: Place) -> Found:
    token_file = place.data_dir / "token" if place.data_dir else None
    api = one.facts.get("api")
    return Found(
        worker=one.worker,
        api=api if isinstance(api, str) else None,
        ops=tuple(_texts(one.facts, "ops")),
        token_file=token_file if token_file and token_file.is_file() else None,
    )


def _texts(facts: Mapping[str, object], name: str) -> Iterator[str]:
    value = facts.get(name)
    if isinstance(value, list):
        yield from (text for text in value if isinstance(text, str))
