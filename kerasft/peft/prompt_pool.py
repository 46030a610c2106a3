"""A pool of prompts, of which each text gets those whose keys are nearest (L2P, Wang et al. 2022, arXiv:2112.08654).

A text's query is the mean of the frozen encoder's token vectors, without a prompt. The prompts whose keys have the
highest cosine with it stand before the text as soft prompts do (see `kerasft.peft.prompt`): the preprocessor puts
tokens of their own there, and the embedding layer gives these the vectors of the chosen prompts. So a text is read
twice, in training and in the served model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft_rows import PromptPoolConfig
from kerasft.errors import UserError
from kerasft.models.layer_classes import Form, as_classes, own_class
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.staying import Staying, staying_layers

KEYS, ROWS = "pool/keys", "pool/rows"


class PromptPool(Staying):
    """`model.peft.method: prompt_pool`.

    Attributes:
        distance: (batch,) how far the keys that were chosen are from the query, 1 - cosine, in the mean: of the pass
            that the model made last, while it is traced. Objectives draw keys to queries by it.
    """

    name = "prompt_pool"
    generates = False
    config: PromptPoolConfig
    distance: tf.Tensor

    def __init__(
        self,
        config: PromptPoolConfig,
        model: keras.Model,
        backbone: keras.Model,
        seed: int,
        start: Adapter | None = None,
    ):
        super().__init__(config, model, backbone, seed, start)
        hidden = backbone.output
        sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
        self.reader = keras.Model(backbone.input, sequence)  # without a pooler, which the task's model may not have
        self.layer, self.ids, self.pad = backbone.token_embedding, np.zeros(0, np.int64), 0
        random, table = np.random.default_rng([seed, config.pool]), keras.ops.convert_to_numpy(self.layer.embeddings)
        width = table.shape[1]
        drawn = random.integers(0, len(table), (config.pool, config.tokens))  # prompts begin as vectors of words
        values = {KEYS: random.uniform(-1.0, 1.0, (config.pool, width)), ROWS: table[drawn]}
        self._weights = {
            name: self.bank.add(
                name, value.astype(np.float32) if start is None else self._read(start, name, value.shape)
            )
            for name, value in values.items()
        }
        kind = type(self.layer)
        self.stay([(self.layer, type(kind.__name__, (PooledEmbedding, kind), {"pool": self}))])

    def read_tokenizer(self, tokenizer: Any) -> None:
        self.pad = int(tokenizer.pad_token_id)

    def add_rows(self, ids: np.ndarray) -> None:
        """The last new tokens are those that stand for the prompts."""
        count = self.config.rows
        self.ids = ids[-count:]
        super().add_rows(ids[:-count])

    @property
    def placed(self) -> Mapping[str, Any]:
        return {"ids": [int(each) for each in self.ids], "pad": self.pad}

    def place(self, placed: Mapping[str, Any]) -> None:
        self.ids, self.pad = np.asarray(placed["ids"], np.int64), int(placed["pad"])

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        return self._weights

    def query(self, token_ids: tf.Tensor) -> tf.Tensor:
        """(batch, length) without prompts -> (batch, width) unit vectors; nothing of them trains."""
        inputs = {"token_ids": token_ids, "padding_mask": tf.cast(token_ids != self.pad, tf.int32)}
        if "segment_ids" in self.backbone.input:
            inputs["segment_ids"] = tf.zeros_like(token_ids)
        formed = {id(layer): layer for layer in staying_layers(self.backbone)}.values()
        with as_classes([(layer, own_class(layer)) for layer in formed]):  # forms of a step count on one pass
            sequence = self.reader(inputs, training=False)
        real = tf.cast(inputs["padding_mask"], tf.float32)[..., None]
        mean = tf.reduce_sum(tf.cast(sequence, tf.float32) * real, 1) / tf.maximum(tf.reduce_sum(real, 1), 1.0)
        return tf.stop_gradient(tf.math.l2_normalize(mean, axis=-1))

    def chosen(self, token_ids: tf.Tensor) -> tf.Tensor:
        """(batch, length) with the prompts' tokens -> (batch, rows, width) the vectors that stand there."""
        prompts = tf.reduce_any(self._is_prompt(token_ids), -1)  # (batch, length)
        order = tf.argsort(tf.cast(prompts, tf.int32), axis=1, stable=True)  # tokens of the text first, as they were
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(~prompts, tf.int32), 1))
        own = tf.where(prompts, self.pad, token_ids)
        query = self.query(tf.gather(own, order[:, :longest], batch_dims=1))
        keys = tf.math.l2_normalize(tf.convert_to_tensor(self._weights[KEYS]), axis=-1)
        cosines, nearest = tf.math.top_k(query @ tf.transpose(keys), self.config.chosen)  # (batch, chosen)
        self.distance = 1.0 - tf.reduce_mean(cosines, -1)
        rows = tf.gather(tf.convert_to_tensor(self._weights[ROWS]), nearest)  # (batch, chosen, tokens, width)
        return tf.reshape(rows, [-1, self.config.rows, rows.shape[-1]])

    def inserted(self, token_ids: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """(batch, length, width) with the chosen prompts at the places of their tokens."""
        token_ids = tf.cast(token_ids, tf.int32)
        places = tf.cast(self._is_prompt(token_ids), vectors.dtype)  # (batch, length, rows)
        prompts = places @ tf.cast(self.chosen(token_ids), vectors.dtype)
        return vectors * (1 - tf.reduce_sum(places, -1, keepdims=True)) + prompts

    def _is_prompt(self, token_ids: tf.Tensor) -> tf.Tensor:
        return tf.equal(tf.cast(token_ids, tf.int32)[..., None], tf.constant(self.ids, tf.int32))

    def peft_config(self) -> dict[str, Any]:
        """Not one of PEFT's."""
        names = ("pool", "tokens", "chosen")
        return {"peft_type": "KERASFT_PROMPT_POOL"} | {name: getattr(self.config, name) for name in names}

    def tensors(self) -> dict[str, np.ndarray]:
        return {name.replace("/", "."): keras.ops.convert_to_numpy(weight) for name, weight in self._weights.items()}

    def _read(self, start: Adapter, name: str, shape: tuple[int, ...]) -> np.ndarray:
        value = start.tensors.get(name.replace("/", "."))
        if value is None or value.shape != shape:
            raise UserError(
                f"{start.folder} has no pool of prompts of this size; set model.peft.method, pool and tokens as they "
                "were"
            )
        return value


class PooledEmbedding(Form, keras.layers.Layer):
    """Before the class of an embedding layer."""

    adapted = True
    pool: PromptPool

    def call(self, inputs, *args, **kwargs):
        if args or kwargs.get("reverse"):
            raise RuntimeError(f"{self.name} is an output layer, too; prompts are read alone")
        return self.pool.inserted(inputs, super().call(inputs))


def pool_of(model: keras.Model) -> PromptPool:
    """The pool that was put into a model. Raises ValueError where there is none."""
    found = next((layer for layer in model.layers if isinstance(layer, PooledEmbedding)), None)
    if found is None:
        raise ValueError(f"{model.name} has no pool of prompts")
    return found.pool
