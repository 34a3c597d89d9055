"""Grouping of labelled log lines: the data sets, the accuracy, and Drain, the parser that others are compared with."""

import csv
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

SUFFIX = "_2k.log_structured.csv"
_PUBLISHED: dict[str, tuple[int, tuple[str, ...]]] = {
    "Hadoop": (4, (r"(\d+\.){3}\d+",)),
    "OpenStack": (5, (r"((\d+\.){3}\d+,?)+", r"/.+?\s", r"\d+")),
    "Zookeeper": (4, (r"(/|)(\d+\.){3}\d+(:\d+)?",)),
}
"""Depth and masks with which Drain's results on these sets were published (threshold 0.5)."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Lines of a log and, for each, the event that a person said it is."""

    name: str
    lines: Sequence[str]
    events: Sequence[str]


def data_sets(folder: Path) -> list[DataSet]:
    """The data sets of a folder, by name; FileNotFoundError if it has none."""
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise FileNotFoundError(f"no *{SUFFIX} in {folder}; name the folder that has them with --data")
    return [_data_set(file) for file in files]


def accuracy(predicted: Sequence[Hashable], events: Sequence[Hashable]) -> float:
    """Grouping accuracy: the share of lines whose predicted group is, line for line, the group of their event."""
    sizes, true_sizes = Counter(predicted), Counter(events)
    both = Counter(zip(predicted, events, strict=True))
    return sum(n for (group, event), n in both.items() if sizes[group] == n == true_sizes[event]) / len(events)


def by_drain(data: DataSet) -> list[int]:
    """Drain's groups with the settings that it ships."""
    return _mined(data, TemplateMinerConfig())


def by_drain_as_published(data: DataSet) -> list[int]:
    """Drain's groups with the depth and the masks that were chosen for the data set; of another one with none."""
    config = TemplateMinerConfig()
    config.drain_depth, masks = _PUBLISHED.get(data.name, (4, ()))
    config.drain_sim_th = 0.5
    config.masking_instructions = [MaskingInstruction(pattern, "*") for pattern in masks]
    return _mined(data, config)


def _mined(data: DataSet, config: TemplateMinerConfig) -> list[int]:
    """The group of each line as it comes, in the order of the file: Drain remembers the lines before it."""
    miner = TemplateMiner(config=config)
    found: Callable[[str], dict[str, int]] = miner.add_log_message
    return [found(line)["cluster_id"] for line in data.lines]


def _data_set(file: Path) -> DataSet:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    name = file.name.removesuffix(SUFFIX)
    return DataSet(name, [row["Content"] for row in rows], [row["EventId"] for row in rows])
