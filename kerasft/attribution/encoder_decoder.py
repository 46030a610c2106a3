"""Why a model with an encoder wrote what it wrote: each token is explained by the words that were read, and by those
written before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from kerasft.attribution.vectors import WRITTEN, Batch, VectorModel, baseline_id
from kerasft.attribution.written import Prompt, WrittenExplainer
from kerasft.training.layers.perturbed_embeddings import added

if TYPE_CHECKING:
    from kerasft.runs import Trained


class EncoderDecoderModel(VectorModel):
    """An encoder and a decoder as a function of all their token vectors.

    A row is what the encoder reads, followed by what the decoder reads; `written` says which is which. In graph the two
    are taken apart again, so that every token keeps its place.
    """

    def call(self, features: Batch, change: tf.Tensor | None = None) -> tf.Tensor:
        real, written = features["padding_mask"] > 0, features[WRITTEN] > 0
        sides = {"encoder": real & ~written, "decoder": real & written}  # (rows, length) each

        def part(values: tf.Tensor, side: str, default: int | float = 0) -> tf.Tensor:
            return tf.ragged.boolean_mask(values, sides[side]).to_tensor(default)  # (rows, longest of the side, ...)

        ids = {side: part(features["token_ids"], side, self.pad_values["token_ids"]) for side in sides}
        masks = {side: part(features["padding_mask"], side) for side in sides}
        inputs = {f"{side}_token_ids": ids[side] for side in sides}
        inputs |= {f"{side}_padding_mask": masks[side] for side in sides}
        if change is None:
            return self.model(inputs, training=False)
        with self.embeddings.installed(), added([(ids[side], part(change, side, 0.0)) for side in sides]):
            return self.model(inputs, training=False)


class EncoderDecoderExplainer(WrittenExplainer):
    """An encoder with a decoder that says how each token of its answer came about.

    Words are hidden by the mask token, or where the model has none by the padding token.

    Args:
        trained: a run's model of a task that writes with an encoder and a decoder.
    """

    names = ("read", "written")

    def __init__(self, trained: Trained):
        self._prepare(trained)
        plain = self.preprocessor.pad_values
        pad_values = {"token_ids": plain["token_ids"], "padding_mask": 0, WRITTEN: 0}
        self.model = EncoderDecoderModel(trained.model, pad_values, baseline_id(self.preprocessor.plain))

    def _prompt_of(self, features: Batch) -> Prompt:
        mask = features["encoder_padding_mask"].numpy()[0] > 0
        return Prompt(features["encoder_token_ids"].numpy()[0][mask], self.preprocessor.begin)

    def _inputs(self, prompt: Prompt, written: Sequence[int]) -> tuple[dict[str, np.ndarray], int]:
        ids = np.concatenate([prompt.read, prompt.begin, written]).astype(np.int32)
        sides = np.arange(len(ids)) >= len(prompt.read)
        inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids), WRITTEN: sides.astype(np.int32)}
        return inputs, len(prompt.begin) + len(written) - 1
