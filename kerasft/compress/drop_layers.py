"""`method=drop_layers`: transformer layers are removed, each time the one whose loss changes the logits least.

Sajjad et al. 2020 (arXiv:2004.03844) compare ways to choose; the highest layers are not always those that can go. What
is lost comes back with training: `method=distil` with `model.preset=run:runs/NEW`.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from kerasft.assembly import head_of, with_head
from kerasft.compress.base import Method, Smaller, Source
from kerasft.config.compress import DropLayersConfig
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.blocks import transformer_blocks
from kerasft.models.presets.fewer_layers import fewer_layers

BATCH = 64


class DropLayers(Method[DropLayersConfig]):
    """Removes layers one after the other."""

    def apply(self, source: Source) -> Smaller:
        backbone, wanted = source.assembled.backbone, self.settings.layers
        kept = list(range(len(transformer_blocks(backbone))))
        if wanted >= len(kept):
            raise UserError(f"layers: {wanted}, and {source.run.folder} has {len(kept)}; use fewer")
        few = _some_rows(source.tables["train"], self.settings.rows)
        truth = _logits(source, backbone, few)
        while len(kept) > wanted:
            changes = {}
            for layer in kept:
                left = [other for other in kept if other != layer]
                changes[layer] = float(np.mean(np.square(_logits(source, fewer_layers(backbone, left), few) - truth)))
            gone = min(changes, key=changes.__getitem__)
            kept.remove(gone)
            source.line(
                f"drop_layers: layer {gone} goes; logits change by {changes[gone] ** 0.5:.3f} (root mean square)"
            )
        return Smaller(fewer_layers(backbone, kept), source.assembled.tokenizer, facts={"kept_layers": kept})


def _some_rows(table: Table, count: int) -> Table:
    """Rows from all over a split."""
    return table.select(np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(np.int64)))


def _logits(source: Source, backbone: keras.Model, rows: Table) -> np.ndarray:
    """Logits of the run's head on another backbone, as an evaluation keeps them."""
    task = source.assembled.task
    assert task is not None
    made = with_head(task, backbone, None)
    for path, variable in head_of(made).items():
        variable.assign(head_of(source.assembled)[path])
    prepared = task.prepare(rows, source.assembled.preprocessor)
    return Evaluator(made.model, tf.distribute.get_strategy(), BATCH, task.condense).logits(prepared)
