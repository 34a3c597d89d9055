"""The reference, the alerts and the dashboard name the metrics that there are; the alert rules do as they should."""

import ast
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "config" / "prometheus"
RULES = PROMETHEUS / "m10.rules.yml"
REFERENCE = (ROOT / "docs" / "metrics.md").read_text()
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()

ALERTS = {
    "M10QueueDepthCritical": ("> 5000", "5m"),
    "M10NoStreamConsumers": ("== 0", "5m"),
    "M10OutboxPendingCritical": ("> 1000", "10m"),
    "M10OutboxLagHigh": ("> 300", "5m"),
    "M10DeadLetterCritical": ("> 100", "15m"),
    "M10MatviewVeryStale": ("> 3600", "5m"),
    "M10WorkerNoActivity": ("> 10", "10m"),
    "M10ArchiveGrowthHigh": ("> 10000", "1h"),
    "M10MetricsCollectorDown": ("> 120", "5m"),
    "M10StoreDown": ("== 0", "5m"),
    "M10RuleSwitchedOff": ("> 0", "0m"),
}
"""Name, threshold and duration. The first nine are those that other programs rely on."""


@dataclass(frozen=True, order=True)
class Metric:
    """A metric as it is declared."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        match self.name.removesuffix("_total").rpartition("_")[2]:
            case "seconds":
                return "seconds"
            case "timestamp":
                return "Unix time"
            case _:
                return ""

    @property
    def row(self) -> str:
        """Its row in docs/metrics.md."""
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name}` | {self.type} | {labels} | {self.unit} | {self.meaning} |"


def declared() -> list[Metric]:
    """What metrics.py declares, and what actor_metrics.py and destination_metrics.py make at each scrape."""
    makers = {
        "_counter": ("counter", 0),
        "_gauge": ("gauge", 0),
        "_histogram": ("histogram", 0),
        "Batched": ("histogram", 0),
        "_sampled": ("gauge", 1),
    }
    makers["GaugeMetricFamily"] = ("gauge", 0)
    makers["CounterMetricFamily"] = ("counter", 0)
    found = []
    for source in ("metrics.py", "actor_metrics.py", "destination_metrics.py"):
        for node in ast.walk(ast.parse((ROOT / "m10actors" / source).read_text())):
            match node:
                case ast.Call(ast.Name(maker), [ast.Constant(), *_] as arguments) if maker in makers:
                    kind, skip = makers[maker]
                    name, meaning, *labels = (str(ast.literal_eval(each)) for each in arguments[skip:])
                    labels += [
                        label
                        for each in node.keywords
                        if each.arg == "labels"
                        for label in ast.literal_eval(each.value)
                    ]
                    found.append(Metric(name, kind, tuple(labels), meaning))
    return found


METRICS = declared()
NAMES = {metric.name for metric in METRICS}
SERIES = NAMES | {
    f"{metric.name}_{part}" for metric in METRICS if metric.type == "histogram" for part in ("bucket", "sum", "count")
}


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:m10|recovery)_[a-z0-9_]+\b", text))


def test_the_reference_has_a_row_for_each_metric_and_no_other() -> None:
    rows = set(re.findall(r"(?m)^\| `(?:m10|recovery)_.+ \|$", REFERENCE))
    assert rows == {metric.row for metric in METRICS}


def test_the_reference_has_the_values_of_each_label() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    listed = REFERENCE.partition("\n## Labels\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"(?m)^\| `([a-z_]+)` \|", listed)) == labels


def test_every_name_of_the_contract_is_declared_with_its_labels_and_moved_by_a_test() -> None:
    text = """
        recovery_suggestions_total{source,decision} recovery_suggestions_latency_seconds
        recovery_approvals_total{decision} recovery_candidates_pending recovery_ingest_total{status,source}
        recovery_ingest_latency_seconds{status} recovery_ingest_duplicates_total{detection_method}
        recovery_ingest_enqueue_total{status} recovery_stream_length recovery_stream_pending recovery_stream_consumers
        recovery_db_queue_depth recovery_db_queue_stalled recovery_worker_claimed_total{source}
        recovery_worker_processed_total{status,source} recovery_worker_processing_seconds
        recovery_matview_age_seconds{view_name} recovery_matview_refresh_total{view_name,status}
        recovery_dead_letter_length recovery_dead_letter_added_total{reason} recovery_dead_letter_replayed_total
        m10_lock_acquired_total{lock_name} m10_lock_failed_total{lock_name} m10_lock_active{lock_name}
        m10_archive_total{source} m10_archive_size m10_replay_log_size
        m10_outbox_published_total{aggregate_type,event_type} m10_outbox_processed_total{aggregate_type,event_type}
        m10_outbox_failed_total{aggregate_type,event_type} m10_outbox_pending m10_outbox_lag_seconds
        m10_outbox_processing_seconds{event_type} m10_last_collection_timestamp
    """
    contract = {
        name: tuple(labels.split(",")) if labels else () for name, labels in re.findall(r"(\w+)(?:\{(.+?)\})?", text)
    }
    assert contract.items() <= {metric.name: metric.labels for metric in METRICS}.items()
    moved = (ROOT / "tests" / "integration" / "test_metrics_moved.py").read_text()
    outages = (ROOT / "tests" / "integration" / "test_metrics_outages.py").read_text()
    assert contract.keys() <= named_in(moved + outages)


def test_each_alert_has_its_threshold_and_duration_and_says_what_to_do() -> None:
    found = {}
    for rule in RULES.read_text().split("- alert: ")[1:]:
        name = rule.split()[0]
        found[name] = (re.findall(r"[><=]=? \d+", rule), re.findall(r"for: (\w+)", rule))
        assert f"runbook: docs/operations.md#{name.lower()}\n" in rule
        assert f"\n### {name}\n" in RUNBOOK
    assert found.keys() == ALERTS.keys()
    for name, (threshold, duration) in ALERTS.items():
        assert threshold in found[name][0], name
        assert found[name][1] == [duration], name


@pytest.mark.parametrize("file", [RULES, PROMETHEUS / "m10.tests.yml"], ids=lambda file: file.name)
def test_every_metric_that_an_alert_names_exists(file: Path) -> None:
    assert named_in(re.sub(r'"[^"]*"(?!\})|#.*', "", file.read_text())) - {"m10_tests"} <= SERIES


@pytest.mark.needs("promtool")
def test_the_alerts_fire_and_stay_silent_as_they_should() -> None:
    for check in (["check", "rules", RULES.name], ["test", "rules", "m10.tests.yml"]):
        ran = subprocess.run(["promtool", *check], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_alert_is_tested_firing_and_silent() -> None:
    tests = (PROMETHEUS / "m10.tests.yml").read_text()
    for name in ALERTS:
        assert re.search(rf"\balertname: {name}\}}", tests), name
        assert re.search(rf"\balertname: {name}\n +exp_alerts:", tests), name


def test_the_dashboard_names_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "config" / "grafana" / "m10.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert expressions
    assert named_in("\n".join(expressions)) <= SERIES
