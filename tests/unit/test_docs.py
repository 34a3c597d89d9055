"""The pages say what is there: links, verbs, targets, the tree, names of settings, events, metrics and failpoints."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pykka
import pytest
import typer

from m10actors import config, metrics
from m10actors.actor_metrics import ActorMetrics
from m10actors.application.jobs import jobs
from m10actors.application.parts import Parts
from m10actors.application.predecessors import Predecessors
from m10actors.application.tree import tree
from m10actors.cli.main import VERBS, load
from m10actors.config.keys import keys
from m10actors.destination_metrics import DestinationMetrics
from m10actors.recovery.pauses import Pauses
from m10actors.supervision import ChildSpec, Link, SupervisorSpec
from m10actors.testing.matrix.containers import IMAGES
from m10actors.testing.stores import POSTGRES, POSTGRES_URL, REDIS_URL, VALKEY_SERVER

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HAND_WRITTEN = [page for page in PAGES if page.name != "configuration.md"]
SOURCES = sorted((ROOT / "m10actors").rglob("*.py"))
TEST_STORES = {VALKEY_SERVER, POSTGRES, REDIS_URL, POSTGRES_URL, IMAGES}
NOT_SETTINGS = {"M10_TESTING", "M10_FAILPOINTS", "M10_TOKEN", "M10_CI_STRICT", *TEST_STORES}
NOT_KEYS = {"http.client", "ingest.py", "metrics.py"}


def text(name: str) -> str:
    return (ROOT / name).read_text()


def codes(page: Path) -> set[str]:
    """What stands in backticks, outside of code blocks."""
    return inline(re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text()))


def inline(part: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", part))


def section(name: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    return text(name).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(table: str) -> set[str]:
    """The names in backticks in the first column."""
    return {name for cell in re.findall(r"(?m)^\| (`.+?) \|", table) for name in inline(cell)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"(?m)^#+ (.+)$", file.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_verb_that_is_named_exists() -> None:
    verbs = {verb.name: subcommands(load(verb)) for verb in VERBS}
    for page in HAND_WRITTEN:
        for verb, second in re.findall(r"(?m)(?:^|[\s/])m10 ([a-z]+)(?: ([a-z]+)\b)?", commands(page)):
            assert verb in verbs, f"{page.name}: m10 {verb}"
            assert not (second and verbs[verb]) or second in verbs[verb], f"{page.name}: m10 {verb} {second}"


def commands(page: Path) -> str:
    """What can be typed: inline code and shell blocks, a line each."""
    return "\n".join([*re.findall(r"(?ms)^ *```sh\n(.*?)^ *```", page.read_text()), *codes(page)])


def subcommands(command: object) -> set[str]:
    return set(command.commands) if isinstance(command, typer.core.TyperGroup) else set()


def test_every_verb_stands_in_the_changelog() -> None:
    assert {verb.name for verb in VERBS} <= set(re.findall(r"[a-z]+", text("CHANGELOG.md")))


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", text("Makefile")))
    for page in HAND_WRITTEN:
        for target in re.findall(r"(?m)^make ([a-z]+)", commands(page)):
            assert target in targets, f"{page.name}: make {target}"


def test_the_drawing_is_the_tree() -> None:
    drawing = re.search(r"(?ms)^```text\nroot .*?^```", text("docs/how-it-works.md"))
    assert drawing is not None
    drawn = []
    for line in drawing[0].splitlines()[1:-1]:
        matched = re.match(r"([│├└─ ]*)([a-z_]+)(\.1 …)? +(\w+)", line)
        assert matched is not None, line
        branch, child_id, pool, word = matched.groups()
        drawn.append((len(branch) // 3, child_id + ("" if pool is None else ".1"), word if "_for_" in word else None))
    assert drawn == list(walk(the_tree(parts())))


def parts() -> Parts:
    settings = config.load(None, {"DATABASE_URL": "postgresql://m10_app@localhost/m10"}, {}).settings
    return Parts.of(settings, "host:1:00000000")


def the_tree(parts: Parts) -> SupervisorSpec:
    def never(_link: Link) -> pykka.ActorRef[pykka.ThreadingActor]:
        raise AssertionError("nothing is started here")

    return tree(parts, never, Predecessors(Path("/nonexistent"), parts.app))


def walk(spec: ChildSpec | SupervisorSpec, depth: int = 0) -> Iterator[tuple[int, str, str | None]]:
    """(depth, id, strategy) in the order of the start; of a pool the first child."""
    if re.search(r"\.(?!1$)\d+$", spec.id):
        return
    yield depth, spec.id, str(spec.strategy) if isinstance(spec, SupervisorSpec) else None
    for child in spec.children if isinstance(spec, SupervisorSpec) else ():
        yield from walk(child, depth + 1)


def test_every_job_has_a_schedule_in_the_reference() -> None:
    for job in jobs(parts()):
        assert f"jobs.{job}" in keys()


def test_every_setting_that_is_named_exists() -> None:
    tables = "|".join({key.partition(".")[0] for key in keys()})
    others = NOT_KEYS | {name for _, name in calls("failpoint")}
    for page in HAND_WRITTEN:
        named = {code for code in codes(page) if re.fullmatch(rf"(?:{tables})\.[a-z_]+", code)}
        assert named - others <= set(keys()), page.name


def test_every_environment_name_exists() -> None:
    known = {key.env.name for key in keys().values() if key.env} | NOT_SETTINGS
    for page in PAGES:
        for name in re.findall(r"\b(?:M10|OUTBOX|RECOVERY)_[A-Z0-9_]*[A-Z0-9]\b", page.read_text()):
            assert name in known or name.removesuffix("_FILE") in known, f"{page.name}: {name}"


def test_the_runbook_lists_every_warning_and_error_of_the_log() -> None:
    table = section("docs/operations.md", "What the log says")
    listed = {
        (level, event)
        for events, level in re.findall(r"(?m)^\| (`.+?`) \| (warning|error) \|", table)
        for event in inline(events)
    }
    assert listed == {call for call in calls("log") if call[0] in {"warning", "error"}}


def test_the_table_of_crash_points_has_every_failpoint() -> None:
    table = section("docs/how-it-works.md", "What happens at each crash point")
    assert first_cells(table) == {name for _, name in calls("failpoint")}


def calls(called: str) -> set[tuple[str, str]]:
    """(method, first argument) of every `called.method("…")` or `called("…")` in the sources."""
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            match node:
                case ast.Call(ast.Attribute(ast.Name(name), method), [ast.Constant(str(argument)), *_]):
                    found |= {(method, argument)} if name == called else set()
                case ast.Call(ast.Name(name), [ast.Constant(str(argument)), *_]):
                    found |= {("", argument)} if name == called else set()
    return found


def test_every_metric_that_is_named_exists() -> None:
    known = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.REGISTRY.collect()}
    known |= {family.name for family in ActorMetrics(lambda: None, Pauses()).describe()}
    known |= {family.name for family in DestinationMetrics(tuple).describe()}
    named = {name.partition("{")[0] for name in first_cells(section("docs/operations.md", "What the metrics say"))}
    assert named
    assert named <= known


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[<>=]", requirement)[0] for requirements in lists for requirement in requirements}
    reasons = first_cells(text("docs/decisions/0016-dependencies.md"))
    assert reasons == {name for name in names if not name.startswith("m10actors")}


def test_every_decision_is_listed_and_numbered() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    assert [page[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    assert re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text()) == pages
    for page in pages:
        head = re.findall(r"(?m)^\*\*(\w+)\.\*\*", (folder / page).read_text())
        assert head == ["Context", "Decision", "Consequences"], page


def test_every_file_that_is_named_exists() -> None:
    for page in HAND_WRITTEN:
        for code in codes(page):
            if re.fullmatch(r"(m10actors|schema|tests|docs|config|examples)/[\w./-]*", code):
                assert (ROOT / code).exists(), f"{page.name}: {code}"
