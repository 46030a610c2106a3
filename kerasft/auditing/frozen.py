"""What an unchanged preset gives for each row, and heads that are fitted to it: the quick road of an audit."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.cross_validation.runs import Folded
from kerasft.data.prepared.prepared import Prepared
from kerasft.distribution.strategy import create_strategy
from kerasft.models.presets.presets import resolve_preset
from kerasft.training.fitted_head import head_inputs, logistic_regression
from kerasft.training.layers.fused_layers import chosen_forms
from kerasft.training.microbatches import chosen_microbatches, requested_microbatches


@dataclass(frozen=True)
class FrozenRows:
    """All rows as an unchanged model reads them.

    Attributes:
        prepared: tokenized.
        vectors: (rows, width) float32 what the head reads.
    """

    prepared: Prepared
    vectors: np.ndarray


def read_frozen(config: Config, folded: Folded, terminal: Terminal) -> FrozenRows:
    """Reads every row once with the preset of a config, forward alone.

    Args:
        config: its model has a head that is one dense layer (`text_classification`).
        folded: the rows.
        terminal: shows progress.
    """
    task, training = folded.task, config.training
    config = config.model_copy(update={"model": config.model.model_copy(update={"peft": None})})
    keras.utils.set_random_seed(config.seed)
    strategy = create_strategy(config, None, requested_microbatches(config, task))
    with strategy.scope():
        assembled = assemble(
            config,
            task,
            preset=resolve_preset(config.model.preset),
            train=folded.table,
        )
    prepared = task.prepare(folded.table, assembled.preprocessor, weighted=True)
    parts = chosen_microbatches(config, task, assembled.model, strategy)
    forms = chosen_forms(training.fused, terminal.line)
    with terminal.progress("vectors", len(prepared), unit="examples") as line:
        size = training.evaluation_batch_size
        vectors = head_inputs(assembled.model, prepared, strategy, size, parts, forms, line.update)
    return FrozenRows(prepared, vectors)


def out_of_fold_logits(frozen: FrozenRows, fold_of: np.ndarray, classes: int, terminal: Terminal) -> np.ndarray:
    """(rows, classes) logits of each row by a logistic regression on the rows of the other folds."""
    vectors, split = frozen.vectors, frozen.prepared
    logits = np.empty((len(vectors), classes), np.float32)
    folds = int(fold_of.max()) + 1
    with terminal.progress("heads", folds, unit="folds") as line:
        for fold in range(folds):
            held = fold_of == fold
            kernel, bias = logistic_regression(vectors[~held], split.targets[~held], split.weights[~held], classes)
            logits[held] = vectors[held] @ kernel + bias
            line.update(fold + 1)
    return logits
