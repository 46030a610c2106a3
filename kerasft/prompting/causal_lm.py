"""How likely a decoder is to go on with each label text (Brown et al. 2020, arXiv:2005.14165).

The prompt is read once. All label texts stand behind it side by side, each token with the position that it would have
right behind the prompt, and sees the prompt and its own text alone: one pass gives what one pass a label would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.families import check_decoder
from kerasft.models.generation.cached_decoder import KeysValues, next_token_logits, read_prompt
from kerasft.models.generation.masked_reading import read_masked
from kerasft.models.preprocessing.layout import special_token_layout
from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.prompting.base import Labels, PromptingMethod
from kerasft.prompting.calibration import BIAS, LabelBias
from kerasft.prompting.demonstrations import demonstrations
from kerasft.prompting.similar_examples import SimilarExamples
from kerasft.prompting.template_preprocessor import (
    check_tokenizer,
    template_parts,
    template_preprocessor,
    token_ids,
)
from kerasft.prompting.templates import KEY, LABEL, Template
from kerasft.prompting.verbalizers import label_ids

BETWEEN = "\n\n"  # examples, and the last of them and the prompt


class Continuation(PromptingMethod):
    """Log-likelihoods of label texts behind the prompt."""

    name = "causal_lm"
    template = "Text: {text}\nTopic: {label}"

    def adapt(self, backbone: keras.Model, tokenizer: Any, labels: Labels) -> None:
        check_decoder(backbone)
        encoder = token_encoder(check_tokenizer(tokenizer))
        self.state["label_ids"] = label_ids(labels, encoder, tokenizer, self._template(), LABEL)
        if self.section.choose == "similarity":
            self.state["candidates"] = self._candidates(encoder, labels)
        else:
            self.state["examples"] = self._fitting_examples(encoder, labels)
            self.state["shared"] = self._shared(backbone, tokenizer, encoder)

    def build(self, backbone: keras.Model, labels: int) -> keras.Model:
        shared = self.state.get("shared", [])  # models of before have none
        return LabelLikelihoods(backbone, self.state["label_ids"], self.section.score == "mean", shared)

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        room = max(len(tokens) for texts in self.state["label_ids"] for tokens in texts)
        candidates, similar = self.state.get("candidates"), None
        examples = BETWEEN if candidates else "".join(self.state["examples"])
        if candidates:
            half = self.model.max_length // 2
            texts, first, following = candidates
            similar = SimilarExamples(texts, first, following, self.section.demonstrations, half)
            room += half
        whole, limit = self._whole(examples), self.model.max_length
        return template_preprocessor(backbone, tokenizer, whole, self.inputs, limit, room, similar)

    def _shared(self, backbone: keras.Model, tokenizer: Any, encoder: Any) -> list[int]:
        """The tokens that every prompt begins with, which are then read once a batch; none without examples."""
        if not self.state["examples"]:
            return []
        words = template_parts(encoder, tokenizer, self._whole("".join(self.state["examples"])), self.inputs)[0][0]
        assert isinstance(words, tuple)  # there are examples
        return [*special_token_layout(backbone, tokenizer).start, *words]

    def _whole(self, examples: str) -> Template:
        """The template with words before it."""
        (words, name), *others = self._template().parts
        return Template(((examples + words, name), *others))

    def _filled(self, labels: Labels) -> list[tuple[str, str]]:
        """Texts of each example, and the example, without what stands behind it."""
        template, texts = self._template(), dict(zip(labels.names, labels.texts))
        return [
            (
                " ".join(each.texts),
                template.fill({**dict(zip(self.inputs, each.texts)), LABEL: texts[each.label][0]}),
            )
            for each in demonstrations(self.config, self.inputs, labels.names)
        ]

    def _candidates(self, encoder: Any, labels: Labels) -> list[list[list[int]]]:
        """Token ids of what similarity chooses among: of their texts, of each as a prompt's start, and behind one."""
        filled = self._filled(labels)
        space = " " if self._template().parts[0][0].endswith(" ") else ""  # as a text is read in a prompt
        ways = (
            [space + text for text, _ in filled],
            [each for _, each in filled],
            [BETWEEN + each for _, each in filled],
        )
        candidates = [token_ids(encoder, way) for way in ways]
        lengths = [max(map(len, pair)) for pair in zip(*candidates[1:])]
        # One that is longer than the room could be the most alike, and would leave a text without any.
        fitting = [row for row, length in enumerate(lengths) if length <= self.model.max_length // 2]
        if not fitting:
            raise UserError(
                f"prompting.demonstrations: the shortest row of data.train has {min(lengths)} tokens in the template, "
                f"more than half of model.max_length, {self.model.max_length}; raise it"
            )
        return [[way[row] for row in fitting] for way in candidates]

    def _fitting_examples(self, encoder: Any, labels: Labels) -> list[str]:
        """The examples that stand before a prompt: whole ones alone, as many as take half of a row."""
        if not self.section.demonstrations:
            return []
        filled = [each + BETWEEN for _, each in self._filled(labels)]
        counts = np.cumsum([len(ids) for ids in token_ids(encoder, filled)])
        fitting = int((counts <= self.model.max_length // 2).sum())
        if not fitting:
            raise UserError(
                f"prompting.demonstrations: the first of them has {counts[0]} tokens, more than half of "
                f"model.max_length, {self.model.max_length}; raise it"
            )
        return filled[:fitting]

    def load(self, model: keras.Model, preset: str, preprocessor: Any, labels: Labels) -> None:
        """A decoder has its output layer in its backbone."""

    def set_bias(self, model: keras.Model, bias: np.ndarray) -> None:
        model.get_layer(BIAS).bias.assign(bias)

    def _template(self) -> Template:
        template = Template.parse(self.text_template(), (*self.inputs, LABEL))
        if template.parts[-1][1] != LABEL or len(template.parts) < 2:
            raise UserError(f"{KEY}: {{label}} has to be its end, behind the texts: a decoder goes on from there")
        return template


class LabelLikelihoods(keras.Model):
    """A decoder's inputs -> (batch, labels) float32 scores.

    Args:
        backbone: GPT-2, Llama or Mistral.
        ids: label -> its texts -> token ids; of several texts a label has the mean.
        mean: whether log-probabilities of a text's tokens are averaged rather than added up.
        shared: tokens that every row begins with: what layers keep of them is computed once for all rows.
    """

    def __init__(
        self, backbone: keras.Model, ids: list[list[list[int]]], mean: bool, shared: Sequence[int] = (), **kwargs
    ):
        super().__init__(**kwargs)
        texts = [tokens for own in ids for tokens in own]
        self.backbone, self.plan = backbone, TextTree(texts, shared)
        self.share = np.zeros((len(self.plan.ids), len(ids)), np.float32)  # of each token's log-probability in a label
        owners = np.repeat(np.arange(len(ids)), [len(own) for own in ids])
        for token, text in enumerate(self.plan.owners):
            label = owners[text]
            self.share[token, label] = 1.0 / len(ids[label]) / (len(texts[text]) if mean else 1)
        self.label_bias = LabelBias(name=BIAS)
        self.label_bias.build((None, len(ids)))
        self.built = True

    def call(self, inputs, training=None):
        each = self.plan.log_probabilities(self.backbone, inputs["token_ids"], inputs["padding_mask"])
        return self.label_bias(tf.matmul(each, tf.constant(self.share)))


class TextTree:
    """Texts that stand side by side behind one prompt.

    Args:
        texts: token ids of each.
        shared: tokens that every prompt begins with.

    Attributes:
        ids: (tokens,) of all texts.
        owners: (tokens,) which text each is of.
        depths: (tokens,) its place in its text.
    """

    def __init__(self, texts: list[list[int]], shared: Sequence[int] = ()):
        self.shared = np.asarray(shared, np.int32)
        self.ids = np.concatenate([np.asarray(tokens, np.int32) for tokens in texts])
        self.owners = np.repeat(np.arange(len(texts)), [len(tokens) for tokens in texts])
        self.depths = np.concatenate([np.arange(len(tokens), dtype=np.int32) for tokens in texts])

    def log_probabilities(self, backbone: keras.Model, token_ids: tf.Tensor, padding_mask: tf.Tensor) -> tf.Tensor:
        """(batch, length) prompts and which of their tokens are real -> (batch, tokens) of each text's token."""
        count = len(self.shared)
        token_ids, padding_mask = token_ids[:, count:], padding_mask[:, count:]  # what is not the same in all rows
        batch, length, tokens = tf.shape(token_ids)[0], tf.shape(token_ids)[1], len(self.ids)
        lengths = tf.reduce_sum(tf.cast(padding_mask, tf.int32), axis=1)  # (batch,)
        whole = tf.concat([token_ids, tf.tile(self.ids[np.newaxis], [batch, 1])], axis=1)
        prompt = tf.tile(tf.range(length)[tf.newaxis], [batch, 1])
        behind = lengths[:, tf.newaxis] + self.depths[np.newaxis]  # (batch, tokens)
        positions = count + tf.concat([prompt, behind], axis=1)
        mask = tf.concat([tf.ones([batch, length + tokens, count], tf.bool), self._mask(prompt, lengths)], axis=2)
        kept: list[KeysValues] = []
        read = None
        if count:
            read, kept = read_prompt(backbone, tf.constant(self.shared[np.newaxis]), tf.constant(count))
        hidden = read_masked(backbone, whole, positions, mask, kept)
        # What says a text's first token is the prompt's last; the others are said by the token before.
        prompts = hidden[:, :length]
        if read is not None:
            prompts = tf.concat([tf.tile(read[:, -1:], [batch, 1, 1]), prompts], axis=1)
        first = tf.gather(prompts, lengths - int(not count), batch_dims=1)[:, tf.newaxis]  # (batch, 1, hidden)
        before = tf.concat([first, hidden[:, length:]], axis=1)
        which = np.where(self.depths == 0, 0, np.arange(tokens))  # token i - 1 is number i, behind the prompt's
        logits = next_token_logits(backbone, tf.gather(before, which, axis=1))  # (batch, tokens, vocabulary)
        return tf.gather(tf.nn.log_softmax(logits), tf.tile(self.ids[np.newaxis], [batch, 1]), axis=2, batch_dims=2)

    def _mask(self, prompt: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """(batch, length) places and (batch,) lengths -> (batch, to, from) bool, of a row without what all share."""
        batch, length, tokens = tf.shape(prompt)[0], tf.shape(prompt)[1], len(self.ids)
        real = prompt < lengths[:, tf.newaxis]  # (batch, length)
        own = (self.owners[:, np.newaxis] == self.owners) & (self.depths[:, np.newaxis] >= self.depths)
        causal = tf.linalg.band_part(tf.ones([length, length], tf.bool), -1, 0)  # (to, from)
        above = tf.concat([causal, tf.zeros([length, tokens], tf.bool)], axis=1)
        below = tf.concat(
            [tf.tile(real[:, tf.newaxis], [1, tokens, 1]), tf.tile(tf.constant(own)[tf.newaxis], [batch, 1, 1])], axis=2
        )
        return tf.concat([tf.tile(above[tf.newaxis], [batch, 1, 1]), below], axis=1)
