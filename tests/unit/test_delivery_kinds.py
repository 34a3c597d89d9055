"""Event kinds that other distributions register."""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from m10actors.config import ConfigError, load
from m10actors.delivery import Destination, Event, Request, kinds
from m10actors.delivery.compose import Call, compose
from m10actors.delivery.errors import Undeliverable
from m10actors.delivery.kinds import InvalidEventKind

EXAMPLE = Path(__file__).parents[2] / "examples" / "event_kind"
DESTINATIONS = {"ops": Destination("ops", "https://ops.example/hook")}


def event(event_type: str, data: object, to: str | None = "ops") -> Event:
    return Event(1, UUID(int=1), "candidate", "1", event_type, json.dumps({"data": data}).encode(), to, 0, "0" * 32)


PAGE = {"action": "notify_ops", "template": {"to": "ops"}, "failure": {"code": "TIMEOUT", "occurrences": 5}}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """A distribution that registers `points`, as an installer leaves it."""
    info = folder / "something-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: something\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{kinds.GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(folder)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    kinds.registered.cache_clear()
    yield
    kinds.registered.cache_clear()
    sys.modules.pop("m10_pager", None)


@pytest.fixture
def _pager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    monkeypatch.syspath_prepend(EXAMPLE)
    install(tmp_path, monkeypatch, **project["entry-points"][kinds.GROUP])


@pytest.mark.usefixtures("_pager")
def test_the_example_is_found_and_makes_its_request() -> None:
    call = compose(event("pager:night", PAGE), DESTINATIONS, kinds.registered())
    assert isinstance(call, Call)
    assert call.body == b"to=ops&text=notify_ops%3A+TIMEOUT+seen+5+times"
    assert (call.method, call.url.host, call.headers["content-type"]) == (
        "POST",
        "ops.example",
        "application/x-www-form-urlencoded",
    )


@pytest.mark.usefixtures("_pager")
def test_a_kind_has_no_say_in_where_it_goes() -> None:
    with pytest.raises(Undeliverable, match="destination_not_allowed"):
        compose(event("pager:night", PAGE, to=None), DESTINATIONS, kinds.registered())


@pytest.mark.usefixtures("_pager")
@pytest.mark.parametrize(
    ("data", "reason"), [(PAGE | {"template": {}}, "invalid_payload"), ({}, "event_kind_failed: KeyError: 'template'")]
)
def test_what_a_kind_cannot_make_a_request_of_is_a_dead_letter(data: object, reason: str) -> None:
    with pytest.raises(Undeliverable, match=reason):
        compose(event("pager:night", data), DESTINATIONS, kinds.registered())


@pytest.mark.parametrize(
    "made",
    [
        None,
        Request(b"", method="BREW"),
        Request(b"", headers={"x": "a\nb"}),
        Request(b"", headers={"": "a"}),
        Request(7),  # type: ignore[arg-type]
        Request(b"", headers=None),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_request_is_a_dead_letter(made: Request) -> None:
    with pytest.raises(Undeliverable, match="event_kind_failed"):
        compose(event("odd:x", {}), DESTINATIONS, {"odd": lambda _: made})


def configured(folder: Path, event_type: str) -> None:
    path = folder / "m10.toml"
    path.write_text(
        '[destinations.ops]\nurl = "https://ops.example/"\n'
        f'[actions.notify_ops]\nevent = "{event_type}"\ndestination = "ops"\n'
    )
    load(path, {"HOME": str(folder)}, {})


@pytest.mark.usefixtures("_pager")
def test_an_action_may_be_mapped_to_a_kind_that_is_registered(tmp_path: Path) -> None:
    configured(tmp_path, "pager:night")


def test_an_action_cannot_be_mapped_to_a_kind_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)actions\.notify_ops\.event.*a kind that is known here.*http, notify"):
        configured(tmp_path, "pager:night")


def test_a_kind_whose_module_fails_when_it_is_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m10_broken.py").write_text("raise RuntimeError('no licence')\n")
    install(tmp_path, monkeypatch, sms="m10_broken:request")
    with pytest.raises(
        InvalidEventKind, match=r"sms \(m10_broken:request\) cannot be loaded: RuntimeError: no licence"
    ):
        kinds.registered()


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("webhook", "json:loads", "'webhook' .*a name in lower case that is not built in"),
        ("Upper", "json:loads", "'Upper'"),
        ("sms", "no_such_module:x", "cannot be loaded"),
        ("sms", "json:no_such_name", "cannot be loaded"),
        ("sms", "json:__name__", "is not callable"),
    ],
)
def test_a_registration_that_is_wrong_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: str, message: str
) -> None:
    install(tmp_path, monkeypatch, **{name: target})
    with pytest.raises(InvalidEventKind, match=message):
        kinds.registered()
