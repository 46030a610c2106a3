"""What a model says of texts, and how right it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.inference.local import LocalPredictor
from kerasft.keras_models.columns import batches_of, columns_of, holds_text
from kerasft.keras_models.examples import prepared_examples
from kerasft.quoting import quoted
from kerasft.runs import Trained

if TYPE_CHECKING:
    from kerasft.keras_models.base import TaskModel


def answers(model: TaskModel, x: Any, batch_size: int) -> list[dict[str, Any]]:
    """A JSON-able answer for each text, in order.

    Args:
        model: that reads strings.
        x: texts in a caller's form, or a `tf.data.Dataset` of batches of them.
        batch_size: texts a call of the model.
    """
    if model._predictor is None:
        model._predictor = LocalPredictor(Trained(model.task, model.preprocessor, model.network))
    model._predictor.batch_size = batch_size
    parts = (texts for texts, _, _ in batches_of(x)) if isinstance(x, tf.data.Dataset) else (x,)
    found = (model._predictor.answer(columns_of(part, model.task.inputs)) for part in parts)
    return [answer for part in found for answer in part]


def figures(model: TaskModel, x: Any, y: Any, batch_size: int) -> dict[str, Any]:
    """What a run writes to metrics.json of a split."""
    check_read(model, x)
    if isinstance(x, tf.data.Dataset):
        raise UserError("measure: a data set; give lists, of all that is to be measured")
    prepared = prepared_examples(model, x, y)
    evaluator = Evaluator(model.network, tf.distribute.get_strategy(), batch_size, model.task.condense)
    return model.task.metrics(prepared, evaluator.logits(prepared))


def check_read(model: TaskModel, x: Any) -> None:
    """Raises UserError where data are neither strings nor what the model reads."""
    text = holds_text(x)
    if text and model.preprocessor is None:
        raise UserError("these are strings, and this model reads preprocessed data: preprocessor is None")
    if not text and isinstance(x, list):
        raise UserError(f"{quoted(x)}: texts are needed; what is preprocessed is a dict of arrays")
