"""The examples of evaluators in an engine: the fast one by its entry point, the leased one against a service."""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import World, running

from m10actors.evaluators.loading import GROUP, InvalidEvaluator, load
from m10actors.testing.receiver import Answer, Receiver, Request
from m10actors.testing.waiting import eventually

EXAMPLES = Path(__file__).parents[2] / "examples" / "evaluators"
UNDECIDED = "ODD_THING"
world = pipeline_kit.world


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On the path, as with PYTHONPATH."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    for name in ("m10_keywords", "m10_model"):
        sys.modules.pop(name, None)


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples as an installed package registers them."""
    points = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    info = folder / "m10_evaluators-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: m10-evaluators\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(folder)


WORDS = {"Too Slow": "retry_exponential"}


def test_words_in_the_message_decide_what_the_rules_do_not(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by its entry point, without `use`."""
    installed(tmp_path, monkeypatch)
    options = {"words": WORDS, "confidence": 0.85}
    with running(world, decisions__evaluators=["rules", "keywords"], evaluators__keywords__options=options) as engine:
        engine.ingest([1], code=UNDECIDED)
        world.sound(1)
        [(rules,)] = world.sql("SELECT rules_evaluated FROM public.recovery_candidates")
        assert (rules[0]["rule"], rules[0]["because"]) == ("keywords", 'the message says "Too Slow"')


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("m10_keywords:Keywords", {"words": {}}, "words: expected a table of words and actions, got nothing"),
        ("m10_keywords:Keywords", {"words": WORDS, "confidence": 7}, "confidence: expected a number from 0 to 1"),
        ("m10_model:Model", {"url": "models.example.com"}, "url: expected an address like https://HOST/PATH"),
        ("m10_model:Model", {"url": "https://a", "token_from": "NO_SUCH_NAME"}, "token_from: expected the name"),
        ("m10_model:Model", {}, "missing 1 required positional argument: 'url'"),
    ],
)
def test_options_that_cannot_be_are_said(path: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidEvaluator, match=says):
        load("mine", path, options)


def test_a_model_is_asked_over_http_until_it_answers(world: World) -> None:
    """First it is busy, then broken, then it knows one of two failures."""
    asked: list[dict[str, Any]] = []

    def model(request: Request) -> Answer:
        asked.append(json.loads(request.body))
        if len(asked) == 1:
            return Answer(429, {"retry-after": "0"})
        if len(asked) == 2:
            return Answer(500)
        known = [each for each in asked[-1]["failures"] if each["source"] == "service-1"]
        answers = [{"id": each["id"], "action": "retry_exponential", "confidence": 0.9} for each in known]
        return Answer(200, body=json.dumps({"answers": answers}).encode())

    chain: dict[str, Any] = {
        "decisions__evaluators": ["rules", "model"],
        "tree__evaluator_dispatcher__poll": "20ms",
        "evaluators__model__use": "m10_model:Model",
        "evaluators__model__leased": True,
        "evaluators__model__backoff": "1ms",
    }
    with Receiver() as service:
        service.answer = model
        with running(world, **chain, evaluators__model__options={"url": service.url}) as engine:
            engine.ingest([1, 2], code=UNDECIDED)
            eventually(lambda: (world.stores().evaluated, world.stores().delivered) == (2, 1))
            assert world.dead_letters() == []
    assert "retry_exponential" in asked[0]["actions"]
    assert asked[0]["failures"][0]["code"] == UNDECIDED


def test_where_a_model_that_may_abstain_is_away_a_person_decides(world: World) -> None:
    with Receiver() as service:
        service.answer = lambda _: Answer(500)
        away: dict[str, Any] = {
            "decisions__evaluators": ["rules", "model"],
            "tree__evaluator_dispatcher__poll": "20ms",
            "evaluators__model__use": "m10_model:Model",
            "evaluators__model__leased": True,
            "evaluators__model__backoff": "1ms",
            "evaluators__model__retries": 2,
            "evaluators__model__on_failure": "abstain",
            "evaluators__model__options": {"url": service.url},
        }
        with running(world, **away) as engine:
            engine.ingest([1], code=UNDECIDED)
            eventually(lambda: world.stores().evaluated == 1)
            assert world.sql("SELECT decision FROM public.recovery_candidates") == [("pending",)]
            assert world.dead_letters() == []
