"""Soft prompts: rows of the vocabulary that stand before every text, behind its first special token.

`prompt` trains the rows themselves (Lester et al. 2021, arXiv:2104.08691); they begin with those of tokens that are
drawn from the vocabulary. `p_tuning` makes them by a network while they train (Liu et al. 2021, arXiv:2103.10385), of
which the rows alone are saved. In the end there is an ordinary preset with a longer vocabulary; [CLS] stays the first
token, and is what is pooled. With `prompting.method: masked_lm` they stand before the template and its gap.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft_rows import PROMPT_IDS, PTuningConfig, RowsConfig
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.preprocessing.preprocessor import TextPreprocessor
from kerasft.models.presets.added_tokens import add_tokens
from kerasft.peft.base import Method
from kerasft.peft.new_rows import TENSOR, NewRows

_STD = 0.02


def add_prompt(config: Config, state: dict[str, Any], backbone: keras.Model, tokenizer: Any) -> tuple[Any, Any]:
    """Backbone and tokenizer with rows for a prompt, where `model.peft` trains one; a task's state gets their ids."""
    section = config.model.peft
    if isinstance(section, RowsConfig):
        tokens = [f"[PROMPT{place}]" for place in range(section.rows)]
        backbone, tokenizer, state[PROMPT_IDS] = add_tokens(backbone, tokenizer, tokens, config.seed, in_texts=False)
    return backbone, tokenizer


def prompted(preprocessor: Any, ids: list[int] | None, task: str) -> Any:
    """A preprocessor whose texts have these tokens behind their first special ones; with None as it is.

    Raises:
        UserError: it is not one of texts or pairs of texts, or cuts them to less than the prompt.
    """
    if not ids:
        return preprocessor
    if not isinstance(preprocessor, TextPreprocessor) or not preprocessor.takes_prompt:
        raise UserError(
            f"model.peft.method: a prompt is for tasks that read a text or a pair, not for {task}; use lora"
        )
    longest = preprocessor.room - 2
    if len(ids) > longest:
        raise UserError(
            f"model.peft.tokens: {len(ids)} leave no room for a text in model.max_length, of which "
            f"{preprocessor.room} tokens are for prompt and text; use {max(longest, 1)} or less, or a larger max_length"
        )
    layout = preprocessor.layout
    changed = copy.copy(preprocessor)  # whoever has the other one reads as before
    changed.layout = layout._replace(start=(*layout.start, *ids))
    return changed


class MadeRows(NewRows):
    """Rows that a network gives: relu(relu(E A + a) B + b) C + c, as PEFT's P-tuning has it.

    Args:
        layer: of embeddings, frozen.
        ids: the rows.
        network: E (ids, width), A (width, hidden), B (hidden, hidden), C (hidden, width) and their biases, by name.
    """

    def __init__(self, layer: keras.layers.Layer, ids: np.ndarray, network: Mapping[str, keras.Variable]):
        super().__init__(layer, ids, network["embedded"])
        self.network = network
        self.own = tf.constant(keras.ops.convert_to_numpy(layer.embeddings)[ids])

    def now(self) -> tf.Tensor:
        own = {name: tf.convert_to_tensor(variable) for name, variable in self.network.items()}
        hidden = tf.nn.relu(own["embedded"] @ own["first"] + own["first_bias"])
        hidden = tf.nn.relu(hidden @ own["second"] + own["second_bias"])
        return hidden @ own["third"] + own["third_bias"] - self.own


class Prompt(Method):
    """`model.peft.method: prompt`."""

    name = "prompt"
    config: RowsConfig

    def add_rows(self, ids: np.ndarray) -> None:
        if not len(ids):
            raise UserError(f"model.peft.method: {self.name} has no rows to train; it is not for this model")
        super().add_rows(ids)
        if self.new_rows is not None and (self.start is None or TENSOR not in self.start.tensors):
            self._begin(self.new_rows, np.random.default_rng([self.seed, len(ids)]))
        if self.new_rows is not None:
            self.new_rows.never_said = True

    def _begin(self, rows: NewRows, random: np.random.Generator) -> None:
        table = keras.ops.convert_to_numpy(rows.layer.embeddings)
        drawn = random.integers(0, rows.ids.min(), len(rows.ids)) if rows.ids.min() else rows.ids
        rows.moved.assign(table[drawn] - table[rows.ids])

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        return {}

    def peft_config(self) -> dict[str, Any]:
        """Not PEFT's, whose encoders pool the first token of the prompt."""
        return {"peft_type": f"KERASFT_{self.name.upper()}", "tokens": self.config.tokens}

    def tensors(self) -> dict[str, np.ndarray]:
        kinds = ("KERASFT_PROMPT", "KERASFT_P_TUNING")
        if self.start is not None and self.start.config.get("peft_type") not in kinds:
            raise UserError(
                f"{self.start.folder} is of {self.start.config.get('peft_type')}, not {' or '.join(kinds)}; set "
                "model.peft.method accordingly"
            )
        return {}


class PTuning(Prompt):
    """`model.peft.method: p_tuning`."""

    name = "p_tuning"

    def _begin(self, rows: NewRows, random: np.random.Generator) -> None:
        """The network takes the place of the rows; where training goes on from an adapter there is none."""
        assert isinstance(self.config, PTuningConfig)
        width, hidden = rows.moved.shape[1], self.config.hidden
        shapes = {"first": (width, hidden), "second": (hidden, hidden), "third": (hidden, width)}
        values = {"embedded": random.normal(0.0, 1.0, (len(rows.ids), width))}
        for name, shape in shapes.items():
            values[name] = random.normal(0.0, (2.0 / shape[0]) ** 0.5, shape)
            values[f"{name}_bias"] = np.zeros(shape[1])
        values["third"] *= _STD
        rows.moved.trainable = False
        network = {n: self.bank.add(f"network/{n}", v.astype(np.float32)) for n, v in values.items()}
        self.new_rows = MadeRows(rows.layer, rows.ids, network)

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        rows = self.new_rows
        return {f"network/{name}": v for name, v in rows.network.items()} if isinstance(rows, MadeRows) else {}

    @property
    def variables(self) -> Mapping[str, keras.Variable]:
        return self.weights or super().variables

    @property
    def bookkeeping(self) -> list[keras.Variable]:
        return self.untrained  # the rows whose place the network has
