"""Texts that a model writes, by what a request says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from kerasft.errors import UserError
from kerasft.inference.texts import rows_of
from kerasft.keras_models.columns import columns_of
from kerasft.quoting import quoted

if TYPE_CHECKING:
    from kerasft.keras_models.base import TaskModel

SIGNATURE = "generate"  # of the served model, which takes the same numbers


def written(model: TaskModel, x: Any, wishes: dict[str, Any]) -> Any:
    """What a model writes behind prompts, or from inputs.

    Args:
        model: of a task that writes.
        x: texts in the form of `predict`, or one string.
        wishes: of `max_new_tokens`, `temperature`, `top_p`, `seed`; None: as the option `decoding` says.

    Returns:
        A list of strings; one string, where one was given.

    Raises:
        UserError: a wish is of another kind, or there is none of its name.
    """
    if model.preprocessor is None:
        raise UserError("generate: this model reads preprocessed data; make it without preprocessor=None")
    one = isinstance(x, str)
    names = model.task.inputs
    rows = rows_of(columns_of([x] if one else x, names), names)
    texts = {name: tf.constant([row[name] for row in rows]) for name in names}
    numbers = {}
    for name, number in model.task.numbers[SIGNATURE].items():
        numbers[name] = tf.constant(_number(name, wishes.pop(name, None), number.values[0]), number.dtype)
    if given := [name for name, value in wishes.items() if value is not None]:
        raise UserError(f"{given[0]}: not for a model that searches with beams; leave it out")
    if model._writer is None:
        model._writer = _traced(model)
    found = [text.decode("utf-8") for text in model._writer(texts, numbers).numpy()]
    return found[0] if one else found


def _number(name: str, given: Any, usual: float) -> float:
    if given is None:
        return usual
    kinds = (int,) if isinstance(usual, int) else (int, float)
    if isinstance(given, bool) or not isinstance(given, kinds) or given < 0:
        raise UserError(f"{name}: {quoted(given)}; give a number, 0 or more")
    return given


def _traced(model: TaskModel) -> Any:
    """One graph for all requests."""
    numbers = model.task.numbers[SIGNATURE]
    strings = {name: tf.TensorSpec([None], tf.string) for name in model.task.inputs}
    scalars = {name: tf.TensorSpec([], number.dtype) for name, number in numbers.items()}

    @tf.function(input_signature=[strings, scalars], autograph=False)
    def write(texts, wishes):
        features = model.preprocessor(texts)
        count = tf.size(texts[model.task.inputs[0]])
        each = {name: tf.fill([count], value) for name, value in wishes.items()}
        return model.task.answer_with(model.network, features, each)["text"]

    return write
