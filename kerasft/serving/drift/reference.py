"""What a model was validated on, as a server watches it: made once a run is measured, kept with its export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.serving.drift.index import Distribution
from kerasft.serving.drift.measures import Bins, choose_bins, text_rows
from kerasft.tasks.watched import watched_of

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

FILE = "reference.json"  # of a run
KEY = "reference"  # of assets.extra/kerasft.json
SIGNATURE = "tokens"  # of an export: texts -> their counts
MOST_ROWS = 10_000
AT_ONCE = 256


def make_reference(
    task: Task, preprocessor: Any, table: Table, answers: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, Any]:
    """A split's distributions, JSON-able.

    Args:
        task: of the model; says which answers are watched.
        preprocessor: for its tokenizer.
        table: the split; of the texts the first 10,000 are counted.
        answers: what the model says of the rows in order, some rows at a time, as `Task.watched` has it.
    """
    rows: dict[str, list] = {}
    watched, labels = watched_of(task.config.task.name), task.state.get("labels")
    parts = [watched.answers(outputs, labels) for outputs in answers]
    parts += [text_rows(counts) for counts in _counted(task, preprocessor, table)]
    for part in parts:
        for measure, values in part.items():
            rows.setdefault(measure, []).extend(values)
    bins_of_measure = {measure: choose_bins(measure, values) for measure, values in rows.items()}
    measures = {
        measure: bins.as_json() | {"counts": _counts(bins, rows[measure]), "rows": len(rows[measure])}
        for measure, bins in bins_of_measure.items()
        if bins is not None
    }
    return {"rows": len(table), "measures": measures}


def _counts(bins: Bins, rows: list) -> list[int]:
    indices = [index for row in bins.indices(rows) for index in row]
    return np.bincount(np.array(indices, np.int64), minlength=len(bins)).tolist()


def _counted(task: Task, preprocessor: Any, table: Table) -> Iterator[dict[str, np.ndarray]]:
    import tensorflow as tf

    from kerasft.models.tokenizers.token_counts import token_counts

    if not set(task.inputs) <= set(table.schema.names):
        return  # a corpus has no prompts

    counted = 0
    for batch in table.batches(AT_ONCE, list(task.inputs)):
        room = MOST_ROWS - counted
        if room <= 0:
            return
        columns = {name: tf.constant(batch[name][:room], tf.string) for name in task.inputs}
        counted += len(batch[task.inputs[0]])
        yield {name: values.numpy() for name, values in token_counts(preprocessor, columns).items()}


def read_reference(facts: Mapping[str, Any]) -> dict[str, Distribution]:
    """What assets.extra/kerasft.json says -> the distribution of each measure; none in older exports.

    Raises:
        ValueError: it is not in the form that `make_reference` gives it.
    """
    try:
        distributions = {
            measure: Distribution(Bins.of_json(value), tuple(map(int, value["counts"])), int(value["rows"]))
            for measure, value in (facts.get(KEY) or {}).get("measures", {}).items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{KEY}: {type(error).__name__}: {error}") from error
    for measure, each in distributions.items():
        if len(each.counts) != len(each.bins) or min(each.counts) < 0:
            raise ValueError(f"{KEY}: {measure}: {len(each.counts)} counts for {len(each.bins)} bins")
    return distributions
