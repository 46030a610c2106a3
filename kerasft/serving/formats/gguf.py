"""`export.formats: gguf`: a Llama for llama.cpp, read again before it appears."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.assembly import Assembled, with_head
from kerasft.errors import ServableError
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.tasks.base import Task

LEAST_AGREEMENT = 0.9  # share of positions whose likeliest next token is the same
TEXTS = 8  # logits are as wide as the vocabulary


def check_gguf(assembled: Assembled, task: Task, file: Path, texts: Mapping[str, list[str]]) -> dict[str, Any]:
    """Compares the file's model with Keras', token by token of some texts.

    Returns:
        How many texts, the share of positions with the same likeliest token, and the largest difference of logits.

    Raises:
        ServableError: texts become other tokens, or too many next tokens are others.
    """
    again = with_head(task, load_backbone(str(file)), load_tokenizer(str(file)))
    columns = {name: tf.constant(rows[:TEXTS]) for name, rows in texts.items()}
    features = [tf.function(each.preprocessor, autograph=False)(columns) for each in (assembled, again)]
    if not np.array_equal(features[0]["token_ids"], features[1]["token_ids"]):
        raise ServableError("gguf: the file's tokenizer gives other tokens than that of the run")
    real = features[0]["padding_mask"].numpy().astype(bool)
    one, other = (_logits(each, features[0])[real] for each in (assembled, again))
    agreement = float((one.argmax(-1) == other.argmax(-1)).mean())
    if not agreement >= LEAST_AGREEMENT:
        raise ServableError(f"gguf: {agreement:.0%} of the next tokens are Keras', fewer than {LEAST_AGREEMENT:.0%}")
    count = len(next(iter(columns.values())))
    return {"texts": count, "agreement": agreement, "largest_difference": float(np.abs(one - other).max())}


def _logits(assembled: Assembled, features: Mapping[str, tf.Tensor]) -> np.ndarray:
    inputs = {tensor.name: features[tensor.name] for tensor in assembled.model.inputs}
    return assembled.model(inputs, training=False).numpy()
