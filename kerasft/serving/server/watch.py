"""One version as the monitor sees it: the newest rows of each measure beside the reference of its export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.example.example_pb2 import Example

from kerasft.evaluation.answer_measures import Watched
from kerasft.serving.adapter_facts import KEY as ADAPTERS
from kerasft.serving.drift.index import Distribution, Drift, Window, look
from kerasft.serving.drift.measures import Bins, plain_bins, text_rows
from kerasft.serving.drift.reference import KEY, SIGNATURE, read_reference
from kerasft.serving.servable_graph import METHODS
from kerasft.serving.server.loaded_model import Arrays, LoadedModel
from kerasft.serving.server.requests import DEFAULT_SIGNATURE, INPUTS
from kerasft.tasks.watched import watched_of

FILE = Path("assets.extra") / "kerasft.json"
LOOKS = 20  # at a window, while it is filled once
CHANGES = 5  # bins that an alert names

Places = dict[str, list[tuple[int, ...]]]  # measure -> the bins of each row


@dataclass(frozen=True)
class MonitorLimits:
    """What is watched, and what is an alert.

    Args:
        window: rows that are compared with the reference, the newest.
        least: rows before anything is compared.
        rate: rows a second of each version that are watched; 0: none.
        threshold: population stability index that is a drift.
        cooldown: seconds between two alerts of a model.
        webhook: that alerts are posted to.
    """

    window: int = 1000
    least: int = 200
    rate: int = 50
    threshold: float = 0.25
    cooldown: float = 3600.0
    webhook: str | None = None


class Watch:
    """The windows of one version; `measure` and `look` may run in a thread, one at a time.

    Args:
        folder: of the version.
        limits: see MonitorLimits.

    Attributes:
        reason: why nothing is compared, or None.
        watching: whether rows are counted at all; set to False where that fails.
        drifts: what the last look found.
        drifted, alerted: whether it drifts, and whether that was told.
    """

    def __init__(self, folder: Path, limits: MonitorLimits):
        self._limits = limits
        self.reference: dict[str, Distribution] = {}
        self.windows: dict[str, Window] = {}
        self.drifts: dict[str, Drift] = {}
        self.reason: str | None = None
        self.watching = True
        self.drifted = self.alerted = False
        self.reference_rows: int | None = None
        self._state: Mapping[str, Any] = {}
        self._labels: list[str] | None = None
        self._watched = Watched()
        self._bins: dict[str, Bins] = {}
        self._new = 0
        self._allowance, self._filled = float(limits.rate), 0.0
        self._read(folder)

    def _read(self, folder: Path) -> None:
        try:
            facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
            if ADAPTERS in facts:
                self.watching, self.reason = False, "it has several adapters, whose answers are not watched"
                return
            self._labels, self._state = facts["labels"], facts["state"]
            self._watched = watched_of(facts["task"]["name"])
            self.reference = read_reference(facts)
            self._bins = plain_bins(self._labels) | {name: each.bins for name, each in self.reference.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.watching, self.reason = False, f"{FILE}: not that of an export of kerasft ({type(error).__name__})"
            return
        if self.reference:
            self.reference_rows = facts[KEY].get("rows")
        else:
            self.reason = "the export has no reference, as those of older runs; train again to have one"

    def admit(self, rows: int, now: float) -> int:
        """How many of some rows are watched: as many as the rate allows."""
        rate = self._limits.rate
        self._allowance = min(float(rate), self._allowance + (now - self._filled) * rate)
        self._filled = now
        count = min(rows, int(self._allowance))
        self._allowance -= count
        return count

    def measure(self, model: LoadedModel, key: str, inputs: Arrays, outputs: Arrays) -> Places:
        """What a signature was asked and answered -> the bins of each row; runs the tokenizer, not the model."""
        if key == DEFAULT_SIGNATURE:
            rows = self._watched.answers(outputs, self._labels)
        else:
            rows = self._watched.methods(outputs, self._state) if key in METHODS else {}
        if SIGNATURE in model.signatures:
            names = list(model.signatures[SIGNATURE].inputs)
            columns = _columns(inputs[INPUTS], names) if key in METHODS else inputs
            if set(names) <= set(columns):
                rows |= text_rows(model.run(SIGNATURE, {name: columns[name] for name in names}))
        return {name: self._bins[name].indices(values) for name, values in rows.items() if name in self._bins}

    def add(self, bins: Places) -> bool:
        """Counts rows; whether it is time for a look."""
        for measure, rows in bins.items():
            if measure not in self.windows:
                self.windows[measure] = Window(len(self._bins[measure]), self._limits.window)
            self.windows[measure].add(rows)
        self._new += max(map(len, bins.values()), default=0)
        if self._new < self._limits.window / LOOKS:
            return False
        self._new = 0
        return True

    def look(self) -> dict[str, Drift]:
        """How far each measure is from the reference, where there are rows enough."""
        return {
            name: look(self.reference[name], window.counts, len(window), self._limits.threshold)
            for name, window in self.windows.items()
            if name in self.reference and len(window) >= self._limits.least
        }

    def judge(self, drifts: dict[str, Drift]) -> bool:
        """Takes in a look; whether the version drifts. It begins with any measure and ends once all are calm."""
        self.drifts = drifts
        if any(each.index > each.bound for each in drifts.values()):
            self.drifted = True
        elif all(each.index < each.calm for each in drifts.values()):
            self.drifted = self.alerted = False
        return self.drifted

    def alert(self) -> dict[str, Any]:
        """The measures that drift and what changed most in them: names and shares of bins, nothing of a text."""
        return {
            name: {"index": round(each.index, 4), "bound": round(each.bound, 4), "changes": self._changes(name)}
            for name, each in self.drifts.items()
            if each.index > each.bound
        }

    def _changes(self, name: str) -> list[dict[str, Any]]:
        bins = self.describe_bins(name)
        return sorted(bins, key=lambda each: -abs(each["share"] - each["reference"]))[:CHANGES]

    def describe_bins(self, name: str) -> list[dict[str, Any]]:
        """A measure's bins: their names, and their shares in the window and in the reference."""
        shares = _shares(self.windows[name].counts)
        bins = [{"bin": bin_, "share": share} for bin_, share in zip(self._bins[name].names, shares)]
        if name in self.reference:
            reference = _shares(np.asarray(self.reference[name].counts))
            bins = [each | {"reference": share} for each, share in zip(bins, reference)]
        return bins

    def describe(self) -> dict[str, Any]:
        """All of it, for people."""
        measures = {}
        for name, window in self.windows.items():
            measures[name] = {"rows": len(window), "bins": self.describe_bins(name)}
            if name in self.drifts:
                drift = self.drifts[name]
                measures[name] |= {"index": round(drift.index, 4), "bound": round(drift.bound, 4)}
        return {
            "watching": self.watching,
            "drifted": self.drifted,
            "reference_rows": self.reference_rows,
            "reason": self.reason,
            "measures": measures,
        }


def _columns(examples: np.ndarray, names: list[str]) -> Arrays:
    """Serialized tf.Examples that the model has parsed -> their texts."""
    features = [Example.FromString(example).features.feature for example in examples]
    return {name: np.array([row[name].bytes_list.value[0] for row in features], object) for name in names}


def _shares(counts: np.ndarray) -> list[float]:
    return [round(share, 4) for share in (counts / max(1, counts.sum())).tolist()]
