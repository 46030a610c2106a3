"""A head that is fitted to what the backbone gives before training moves it (Kumar et al. 2022, arXiv:2202.10054).

A new head has random weights: the first hundred steps of fine-tuning teach it, at the price of steps of the whole
model, and through it pull the backbone to and fro. Here the backbone reads each text once, forward alone, and a
logistic regression on the vectors it gives takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.heads.text_classifier import HEAD
from kerasft.training.layers.fused_layers import ACTIVATIONS, fused_layers

# Chosen by validation of Banking77 and Reuters R8 (docs/performance.md). Vectors have a variance of 1 when it applies,
# so that it means the same for any backbone.
PENALTY = 3e-3
ITERATIONS = 30  # 100 gave the same validation accuracy on both


def fit_head(
    model: keras.Model,
    train: Prepared,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    microbatches: int,
    forms: Sequence[str],
    terminal: Terminal,
) -> None:
    """Gives the last layer of a text classifier the weights of a logistic regression on the layer's inputs.

    Args:
        model: of `build_classifier`, with the softmax of one label a text.
        train: prepared split with targets and weights.
        strategy: the model was created under; of one process.
        batch_size: texts that are read at a time.
        microbatches: see `Evaluator`.
        forms: of `training.fused`.
        terminal: shows progress.
    """
    vectors = head_vectors(model, train, strategy, batch_size, microbatches, forms, terminal)
    set_head(model, *logistic_regression(vectors, train.targets, train.weights, model.get_layer(HEAD).units))


def head_vectors(
    model: keras.Model,
    train: Prepared,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    microbatches: int,
    forms: Sequence[str],
    terminal: Terminal,
) -> np.ndarray:
    """(rows, width) float32, what the last layer reads of each row; arguments as those of `fit_head`."""
    with terminal.progress("head", len(train), unit="examples") as line:
        return head_inputs(model, train, strategy, batch_size, microbatches, forms, line.update)


def set_head(model: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Gives the last layer its weights."""
    head = model.get_layer(HEAD)
    head.kernel.assign(kernel)
    head.bias.assign(bias)


def head_inputs(
    model: keras.Model,
    split: Prepared,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    microbatches: int,
    forms: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """(rows, width) what the last layer of a model, named HEAD, reads of each row.

    Args:
        model, strategy, batch_size, microbatches, forms: see `fit_head`.
        split: prepared; its targets are not read.
        progress: called with the number of rows done.
    """
    inputs = keras.Model(model.input, model.get_layer(HEAD).input)
    evaluator = Evaluator(inputs, strategy, batch_size, microbatches=microbatches)
    # Activations would be compiled anew for each length of texts.
    with fused_layers(model, [form for form in forms if form != ACTIVATIONS]):
        return evaluator.logits(split, progress)


def logistic_regression(
    vectors: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    classes: int,
    penalty: float = PENALTY,
    toward: np.ndarray | None = None,
    iterations: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, width) vectors, (rows,) labels and weights -> (width, classes) kernel and (classes,) bias.

    Minimises the weighted mean of cross-entropy plus half the penalty times the squared norm of the kernel, for
    vectors whose mean is taken off and whose variance is, in the mean over the width, made 1.

    Args:
        vectors: (rows, width).
        labels: (rows,), or (rows, classes) how likely each is.
        weights: (rows,); 0: a row that is not there.
        classes: how many.
        penalty: see above.
        toward: (width, classes) kernel whose distance is penalised rather than that from 0.
        iterations: most of L-BFGS; None: ITERATIONS.
    """
    from scipy.optimize import minimize  # half a second to import

    used = weights > 0
    vectors, labels, weights = vectors[used], labels[used], weights[used, None] / weights[used].sum()
    middle, width = vectors.mean(0), vectors.shape[1]
    scale = np.sqrt(vectors.var(0).mean()) + 1e-12
    vectors = (vectors - middle) / scale
    rows, size = np.arange(len(labels)), width * classes
    shift = np.zeros((width, classes), np.float32) if toward is None else (toward * scale).astype(np.float32)

    def loss_and_gradient(packed: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = packed[:size].reshape(width, classes), packed[size:]
        logits = vectors @ (kernel.astype(np.float32) + shift) + bias.astype(np.float32)
        logits -= logits.max(1, keepdims=True)
        odds = np.exp(logits)
        sums = odds.sum(1, keepdims=True)
        errors = odds / sums
        if labels.ndim == 1:
            surprise = np.log(sums[:, 0]) - logits[rows, labels]
            errors[rows, labels] -= 1.0
        else:
            surprise = np.log(sums[:, 0]) - (labels * logits).sum(1)
            errors -= labels
        errors *= weights
        loss = float(surprise.astype(np.float64) @ weights[:, 0]) + penalty / 2 * float(packed[:size] @ packed[:size])
        moves = vectors.T @ errors + penalty * kernel
        return loss, np.concatenate([moves.ravel(), errors.sum(0)]).astype(np.float64)

    start = np.zeros(size + classes)
    options = {"maxiter": iterations or ITERATIONS}
    solution = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x
    kernel = (solution[:size].reshape(width, classes) + shift) / scale
    return kernel, solution[size:] - middle @ kernel
