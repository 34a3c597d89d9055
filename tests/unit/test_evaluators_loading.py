"""Evaluators of users, found by dotted path or by entry point, and what is said where that fails."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from m10actors.application.evaluators import chain
from m10actors.config import ConfigError
from m10actors.config import load as settings_of
from m10actors.evaluators.loading import GROUP, InvalidEvaluator, load
from m10actors.testing.evaluators import Scripted


class NoEvaluator:
    """Has no method `evaluate`."""


def fussy(*, threshold: float) -> Scripted:
    """A function that makes one, with an option that it checks."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected 0 .. 1, got {threshold}")
    return Scripted("fussy")


class FromOptions(Scripted):
    """Takes its options as a table."""

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> "FromOptions":
        return cls(str(options["name"]))


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """A distribution that registers `points`, as an installer leaves it."""
    info = folder / "something-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: something\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(folder)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "m10_broken.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "m10_broken:Model"
    sys.modules.pop("m10_broken", None)


def test_a_class_is_made_with_its_options() -> None:
    assert load("model", "m10actors.testing.evaluators:Scripted", {"script": "a"}) == Scripted("a")


def test_one_with_from_options_gets_them_as_a_table() -> None:
    assert load("model", "test_evaluators_loading:FromOptions", {"name": "a"}) == FromOptions("a")


def test_an_entry_point_is_found_by_the_name_of_the_evaluator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, model="m10actors.testing.evaluators:Scripted")
    assert load("model", None, {"script": "a"}) == Scripted("a")


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("no_such_module:Model", {}, "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("test_evaluators_loading:Missing", {}, "cannot be loaded: AttributeError"),
        ("test_evaluators_loading:NoEvaluator", {}, "expected an object with a method evaluate, got a NoEvaluator"),
        ("m10actors.testing.evaluators:_scripts", {}, "expected a class or a function, got a dict"),
        ("m10actors.testing.evaluators:Scripted", {}, "options: TypeError: Scripted.__init__() missing 1 required"),
        ("m10actors.testing.evaluators:Scripted", {"script": "a", "x": 1}, "got an unexpected keyword argument 'x'"),
        ("test_evaluators_loading:fussy", {"threshold": 7}, "options: ValueError: threshold: expected 0 .. 1, got 7"),
        (None, {}, f"expected `use`, or an installed package that registers it in the group {GROUP}"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_evaluator(
    path: str | None, options: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidEvaluator) as caught:
        load("model", path, options)
    assert str(caught.value).startswith("evaluators.model")
    assert says in str(caught.value)


def test_a_module_that_fails_when_it_is_imported_is_named_with_its_cause(broken: str) -> None:
    with pytest.raises(InvalidEvaluator, match=r"evaluators\.model: m10_broken:Model cannot be .*: no licence"):
        load("model", broken, {})


def test_the_chain_is_that_of_the_configuration_with_options_as_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "m10.toml"
    path.write_text(
        '[decisions]\nevaluators = ["rules", "model"]\n[evaluators.model]\n'
        'use = "m10actors.testing.evaluators:Scripted"\n'
        'leased = true\ntimeout = "5s"\non_failure = "abstain"\noptions = { script = ["a", { b = 1 }] }\n'
    )
    rules, model = chain(settings_of(path, {"HOME": str(tmp_path)}, {}).settings).steps
    assert (rules.name, rules.evaluator) == ("rules", None)
    assert model.evaluator == Scripted(["a", {"b": 1}])  # type: ignore[arg-type]
    assert (model.leased, model.timeout.total_seconds(), model.abstains) == (True, 5.0, True)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"decisions.evaluators": []}, "decisions.evaluators"),
        ({"decisions.evaluators": ["Model"]}, "the name of an evaluator"),
        ({"decisions.evaluators": ["rules", "a", "rules"]}, "each evaluator once"),
        ({"evaluators.rules.use": "a:B"}, "rules is the built-in evaluator"),
        ({"evaluators.a.use": "a.b"}, "a dotted path such as my_package.model:Model"),
        ({"evaluators.a.timeout": "5m"}, "less than tree.evaluator_worker.stall_after, which is 5m"),
        ({"evaluators.a.on_failure": "retry"}, "one of dead_letter, abstain"),
    ],
)
def test_a_chain_that_cannot_be_is_a_mistake_of_the_configuration(changed: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        settings_of(None, {}, changed)
