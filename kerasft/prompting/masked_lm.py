"""Which label text fits at `{mask}`: a cloze question to a masked language model (PET, Schick and Schuetze 2020,
arXiv:2001.07676).

A label text of n tokens is asked for with n masks, all hidden at once; its score is the sum of their log-probabilities
(or the mean). With `data.train` the same scores are trained by cross-entropy over the labels, which is PET. With
`model.peft.method` prompt or p_tuning a soft prompt is trained that stands before the template (Lester et al. 2021,
arXiv:2104.08691), and the head stays as it was pre-trained.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from kerasft.config.peft_rows import PromptConfig, PTuningConfig
from kerasft.errors import UserError
from kerasft.models.families import is_decoder
from kerasft.models.presets.layer_settings import head_settings
from kerasft.models.presets.masked_lm_weights import HEAD, load_head
from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.models.tokenizers.vocabulary import Vocabulary
from kerasft.prompting.base import Labels, PromptingMethod
from kerasft.prompting.calibration import BIAS, LabelBias
from kerasft.prompting.template_preprocessor import check_tokenizer, template_preprocessor
from kerasft.prompting.templates import MASK, Template
from kerasft.prompting.verbalizers import label_ids


class Cloze(PromptingMethod):
    """The head of a masked language model, of which a label sees the tokens of its text."""

    name = "masked_lm"
    template = "{text} The topic is {mask}."

    def adapt(self, backbone: keras.Model, tokenizer: Any, labels: Labels) -> None:
        if is_decoder(backbone):
            raise UserError(
                f"prompting.method: masked_lm, but a {type(backbone).__name__} fills no gaps; take causal_lm"
            )
        self.state["mask_id"] = Vocabulary(tokenizer).mask_id
        encoder = token_encoder(check_tokenizer(tokenizer))
        self.state["label_ids"] = label_ids(labels, encoder, tokenizer, self._template(), MASK)

    def build(self, backbone: keras.Model, labels: int) -> keras.Model:
        head = keras_hub.layers.MaskedLMHead(
            token_embedding=backbone.token_embedding,
            **head_settings(backbone),
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            dtype="float32",  # as that of `kerasft.models.heads.masked_lm.MaskedLM`
            name=HEAD,
        )
        ids = self.state["label_ids"]
        scores = []
        for count in sorted({len(tokens) for texts in ids for tokens in texts}):
            inputs = backbone.input if count == 1 else Gap(self.state["mask_id"], count)(backbone.input)
            hidden = backbone.output if count == 1 else backbone(inputs)
            sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
            places = GapPlaces(self.state["mask_id"], count)(inputs["token_ids"])  # (batch, count)
            scores.append(TokenScores(ids, count, self.section.score == "mean")(head(sequence, places)))
        bias = LabelBias(name=BIAS)
        model = keras.Model(backbone.input, bias(LabelScores(ids)(scores)), name="cloze")
        if isinstance(self.model.peft, (PromptConfig, PTuningConfig)):
            head.trainable = bias.trainable = False
        return model

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        room = max(len(tokens) for texts in self.state["label_ids"] for tokens in texts) - 1
        return template_preprocessor(backbone, tokenizer, self._template(), self.inputs, self.model.max_length, room)

    def load(self, model: keras.Model, preset: str, preprocessor: Any, labels: Labels) -> None:
        if not load_head(model, preset, self.added):
            raise UserError(
                f"model.preset: {preset}: has no head of a masked language model, which masked_lm asks; take a model "
                "with one, such as bert-base-uncased or a masked_lm run, or prompting.method: embedding"
            )

    def set_bias(self, model: keras.Model, bias: np.ndarray) -> None:
        model.get_layer(BIAS).bias.assign(bias)

    def _template(self) -> Template:
        return Template.parse(self.text_template(), (*self.inputs, MASK))


@keras.saving.register_keras_serializable(package="kerasft")
class GapPlaces(keras.layers.Layer):
    """(batch, length) token ids -> (batch, count) int32 places of the template's masks.

    Args:
        mask_id: of the mask token.
        count: how many stand side by side; a row has no others.
    """

    def __init__(self, mask_id: int, count: int, **kwargs):
        super().__init__(**kwargs)
        self.mask_id, self.count = mask_id, count

    def call(self, token_ids):
        first = ops.argmax(ops.cast(ops.equal(token_ids, self.mask_id), "int32"), axis=1)
        return ops.cast(ops.expand_dims(first, 1), "int32") + ops.arange(self.count, dtype="int32")


@keras.saving.register_keras_serializable(package="kerasft")
class Gap(keras.layers.Layer):
    """A backbone's inputs with one mask -> the same with several of them side by side; rows become longer by these.

    Args: those of `GapPlaces`.
    """

    def __init__(self, mask_id: int, count: int, **kwargs):
        super().__init__(**kwargs)
        self.one, self.more = GapPlaces(mask_id, 1), count - 1

    def call(self, inputs):
        place = self.one(inputs["token_ids"])  # (batch, 1)
        position = ops.expand_dims(ops.arange(ops.shape(inputs["token_ids"])[1] + self.more, dtype="int32"), 0)
        # Up to the mask as it was; then the mask again; then what stood behind it.
        source = ops.where(position <= place, position, ops.maximum(place, position - self.more))
        return {name: ops.take_along_axis(value, source, axis=1) for name, value in inputs.items()}


@keras.saving.register_keras_serializable(package="kerasft")
class TokenScores(keras.layers.Layer):
    """(batch, count, vocabulary) logits -> (batch, texts) scores of the label texts of so many tokens.

    Args:
        ids: label -> its texts -> token ids.
        count: tokens of the texts that are scored.
        mean: whether log-probabilities are averaged rather than added up.
    """

    def __init__(self, ids: list[list[list[int]]], count: int, mean: bool, **kwargs):
        super().__init__(**kwargs)
        self.ids = [tokens for texts in ids for tokens in texts if len(tokens) == count]
        self.count, self.mean = count, mean

    def call(self, logits):
        log_odds = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
        columns = ops.convert_to_tensor(np.transpose(self.ids))  # (count, texts)
        each = [ops.take(log_odds[:, place], columns[place], axis=1) for place in range(self.count)]
        total = sum(each[1:], each[0])  # (batch, texts)
        return total / self.count if self.mean else total


@keras.saving.register_keras_serializable(package="kerasft")
class LabelScores(keras.layers.Layer):
    """Scores of texts by their numbers of tokens -> (batch, labels): of several texts of a label, their mean.

    Args:
        ids: label -> its texts -> token ids.
    """

    def __init__(self, ids: list[list[list[int]]], **kwargs):
        super().__init__(**kwargs)
        lengths = [(label, len(tokens)) for label, texts in enumerate(ids) for tokens in texts]
        order = sorted(range(len(lengths)), key=lambda text: lengths[text][1])  # as they come, stable
        self.share = np.zeros((len(lengths), len(ids)), np.float32)
        for row, text in enumerate(order):
            label = lengths[text][0]
            self.share[row, label] = 1.0 / len(ids[label])

    def call(self, scores):
        return ops.matmul(ops.concatenate(scores, axis=1), ops.convert_to_tensor(self.share))
