"""A run and the one it was made from, side by side: bytes on disk, latency of raw strings, and how often they agree."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.inference.batches import with_fused_layers
from kerasft.inference.local import LocalPredictor
from kerasft.json_lines import read_json_lines
from kerasft.runs import Run
from kerasft.tasks.base import Task

SINGLE, BATCH = 1, 32
CALLS = {SINGLE: 40, BATCH: 6}  # batches of each size that are timed
ROUNDS = 3
WRITTEN_CALLS = {SINGLE: 3, BATCH: 1}  # of models that write texts, where a call takes long
# What stands in a row of predictions/ beside texts and answer: the truth, and what follows from it or from the answer.
_GIVEN = ("truth", "id", "answers", "starts", "ends", "exact_match", "rank")


@dataclass(frozen=True)
class Latency:
    """Median seconds of a call, by the number of texts in it."""

    parent: Mapping[int, float]
    own: Mapping[int, float]

    def speedup(self, size: int) -> float:
        """How many times as fast as the parent."""
        return self.parent[size] / self.own[size]


def bytes_of(folder: Path) -> int:
    """Bytes of all files in a folder, as they lie on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure_latency(parent: Run, run: Run, table: Table) -> Latency:
    """Answers the same texts with both, in turn, so that whatever else the machine does slows both.

    The forms of layers are those of `kerasft predict`; texts are as long as those of the split.

    Args:
        parent: that the run was made from.
        run: the smaller one.
        table: a split of raw texts.
    """
    predictors = [LocalPredictor(with_fused_layers(each.load())) for each in (parent, run)]
    calls = WRITTEN_CALLS if predictors[0].task.writes else CALLS
    seconds: list[dict[int, float]] = [{}, {}]
    for size, count in calls.items():
        batches = _batches(table, predictors[0].inputs, size, count)
        timings = timed([predictor.answer_batch for predictor in predictors], batches)
        for each, times in zip(seconds, timings):
            each[size] = statistics.median(times)
    return Latency(*seconds)


def timed(answers: Sequence[Callable[[Any], Any]], batches: Sequence[Any], rounds: int = ROUNDS) -> list[list[float]]:
    """Seconds of each batch, of each function; every batch is given to all of them, one after the other.

    The least of some rounds counts, so that other work on the machine matters little. A first round is not counted:
    graphs are made for shapes then.
    """
    seconds = [[math.inf] * len(batches) for _ in answers]
    for number in range(1 + rounds):
        for place, batch in enumerate(batches):
            for answer, times in zip(answers, seconds):
                begun = time.perf_counter()
                answer(batch)
                if number:
                    times[place] = min(times[place], time.perf_counter() - begun)
    return seconds


def _batches(table: Table, inputs: Sequence[str], size: int, count: int) -> list[list[dict[str, str]]]:
    """`count` batches of rows from all over a split; one that is too short begins again from its start."""
    spread = np.linspace(0, len(table) - 1, min(len(table), size * count)).astype(np.int64)
    indices = np.resize(spread, size * count)
    rows = [{name: row[name] for name in inputs} for row in table.rows(indices)]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def agreement(parent: Run, run: Run, task: Task, split: str) -> float | None:
    """How alike the answers of two runs to the same rows are, from what their predictions/ hold.

    The share of rows with the same answer: labels, tags, spans, texts, whatever they hold beside scores. Where an
    answer is nothing but numbers, such as a rating or the cosine of a pair, the correlation of both. None: the files
    hold other rows, as those of a masked language model may, whose rows are made of tokens.

    Raises:
        UserError: a run has no such file.
    """
    given = {*task.inputs, *task.texts, *_GIVEN}
    answers = [_answers(each.folder / "predictions" / f"{split}.jsonl", given) for each in (parent, run)]
    if len(answers[0]) != len(answers[1]) or not answers[0]:
        return None
    pairs = list(zip(*answers))
    discrete = [tuple(without_numbers(answer) for answer in pair) for pair in pairs]
    if any(first for first, _ in discrete):
        return float(np.mean([first == second for first, second in discrete]))
    numbers = np.array([[_numbers(answer) for answer in pair] for pair in pairs], np.float64)  # (rows, 2, numbers)
    first, second = numbers[:, 0].reshape(-1), numbers[:, 1].reshape(-1)
    if np.array_equal(first, second):
        return 1.0
    return float(np.corrcoef(first, second)[0, 1]) if first.std() and second.std() else 0.0


def without_numbers(value: Any) -> Any:
    """An answer without its scores: what is left of tables and lists where floating-point numbers are taken out."""
    if isinstance(value, Mapping):
        rest = {key: without_numbers(inner) for key, inner in value.items()}
        return {key: inner for key, inner in rest.items() if inner is not None and inner != {}}
    if isinstance(value, list):
        rest = [without_numbers(inner) for inner in value]
        return None if value and all(inner is None for inner in rest) else rest
    return None if isinstance(value, float) else value


def _numbers(answer: Mapping[str, Any]) -> list[float]:
    return [value for key in sorted(answer) for value in np.ravel(answer[key]).tolist() if isinstance(value, float)]


def _answers(file: Path, given: Collection[str]) -> list[dict[str, Any]]:
    """Rows of predictions/ without what is the same in both."""
    if not file.is_file():
        raise UserError(f"{file} is missing, and the smaller model is compared with it; train again, or copy the run")
    rows = read_json_lines(file)
    return [{key: value for key, value in row.items() if key not in given} for row in rows]
