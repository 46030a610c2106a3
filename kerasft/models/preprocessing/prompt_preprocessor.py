"""Texts -> what a causal language model reads: tokens to be packed into rows, and prompts to go on from in a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.ragged_rows import side_by_side
from kerasft.models.preprocessing.token_offsets import NOWHERE, Run, TokenOffsets, all_tokens, located
from kerasft.models.tokenizers.detokenizer import Detokenizer
from kerasft.models.tokenizers.encoder import Encoder, clean, piece_encoder, running_text_encoder
from kerasft.models.tokenizers.vocabulary import check_vocabulary

Join = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]


class PromptPreprocessor(tf.Module):
    """The one object that turns strings into tokens, in training and in the SavedModel.

    Args:
        plain: the preprocessor of texts that are cut.
        encoder: of running text.
        detokenizer: of its tokenizer.
        inputs: the string columns.
        join: in graph: those columns -> (batch,) prompts.

    Attributes:
        inputs: as above.
        max_length: tokens of a row, of a prompt and its answer together.
        pad_values: feature of the backbone -> its value at a position without a token.
        prefix: (0 or 1,) ids that stand before every prompt.
        begin, end: ids of the tokens before and after a document; GPT-2 has one for both.
        detokenizer: as above.
        token_bytes: (vocabulary,) how many bytes each token spells.
        opening_bytes: how many of them, of the first token of a text, are none of it.
    """

    def __init__(
        self,
        plain: TextPreprocessor,
        encoder: Encoder,
        detokenizer: Detokenizer,
        inputs: tuple[str, ...],
        join: Join,
    ):
        super().__init__(name="prompt_preprocessor")
        self.inputs, self._join = inputs, join
        self.token_bytes = np.array([len(spelling) for spelling in detokenizer.token_bytes])
        self.opening_bytes = int(detokenizer.opening is not None)
        self.max_length, self.pad_values, self.detokenizer = plain.max_length, plain.pad_values, detokenizer
        self.encoder, layout = encoder, plain.layout
        self.begin, self.end = int((layout.start or layout.end)[0]), int(layout.end[0])
        # GPT-2's has parted documents and never stood before a text's first words alone.
        self.prefix = np.array(layout.start[:1], np.int32)

    def tokens(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch,) strings -> (all tokens,) int32 ids of all texts, (batch,) int64 counts."""
        ids = self.encoder(clean(text))
        return ids.flat_values, ids.row_lengths()

    def behind(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `tokens`, of texts that stand behind others, such as answers behind prompts."""
        ids = getattr(self.encoder, "behind", self.encoder)(clean(text))
        return ids.flat_values, ids.row_lengths()

    def pairs(self, ids: np.ndarray) -> np.ndarray:
        """(tokens,) ids of a document -> (tokens + 1, 2) what is read and what is to be said next, its end last."""
        return np.stack([np.concatenate([[self.begin], ids]), np.concatenate([ids, [self.end]])], axis=1)

    def answered(self, prompt: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, int]:
        """Ids of a prompt and of its answer -> (tokens, 2) as `pairs`, and how many tokens the whole would be.

        Nothing is to be said within the prompt. Where both are too long, the prompt loses its first tokens, as in a
        server, and an answer that is too long by itself its last, with the token that ends it.
        """
        prompt = np.concatenate([self.prefix, prompt])
        prompt = prompt if len(prompt) else np.array([self.begin])
        full = len(prompt) + len(answer)
        prompt = prompt[-max(1, self.max_length - len(answer)) :]
        ids = np.concatenate([prompt, answer, [self.end]])
        targets = np.where(np.arange(len(ids)) < len(prompt), NO_TARGET, ids)
        return np.stack([ids[:-1], targets[1:]], axis=1)[: self.max_length], full

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `StringPreprocessor.token_offsets`; `texts` are the prompts that the columns are joined to."""
        prompt = clean(self._join(columns))
        pieces = piece_encoder(self.encoder)(prompt)
        whole = located([tuple(self.prefix.tolist()), Run(all_tokens(pieces), pieces, 0)], [prompt])
        last = whole.offsets[:, -(self.max_length - 1) :]  # as many as `__call__` keeps
        empty = tf.cast(last.row_lengths() == 0, tf.int64)  # is the token that begins a document
        begin = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(empty), 2], NOWHERE), empty, validate=False)
        offsets = side_by_side([last, begin])
        # There is one column: what is not of it is special.
        return whole._replace(
            offsets=offsets, column=offsets.with_flat_values(tf.minimum(offsets.flat_values[:, 0], 0))
        )

    @tf.autograph.experimental.do_not_convert
    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: strings -> `token_ids` (batch, longest) int32 and `lengths` (batch,) int32.

        Of a prompt that leaves no room for one more token the last tokens are kept. An empty prompt is the token that
        begins a document.

        Args:
            columns: name -> (batch,) strings of any bytes, for each name in `inputs`.
        """
        ids = self.encoder(clean(self._join(columns)))
        prefix = tf.RaggedTensor.from_tensor(
            tf.tile(tf.constant(self.prefix)[tf.newaxis], [tf.cast(ids.nrows(), tf.int32), 1])
        )
        ids = tf.concat([prefix, ids], axis=1)[:, -(self.max_length - 1) :]
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        token_ids = tf.pad(ids.to_tensor(self.begin), [[0, 0], [0, 1]], constant_values=self.begin)  # one more column
        return {
            "token_ids": token_ids[:, : tf.maximum(1, tf.reduce_max(tf.concat([lengths, [0]], 0)))],
            "lengths": tf.maximum(lengths, 1),
        }


def prompt_preprocessor(
    backbone: keras.Model,
    tokenizer: keras_hub.tokenizers.Tokenizer,
    max_length: int,
    inputs: tuple[str, ...] = ("prompt",),
    join: Join = lambda columns: tf.convert_to_tensor(columns["prompt"], tf.string),
) -> PromptPreprocessor:
    """Builds the preprocessor of a backbone; arguments and errors of its class, `text_preprocessor`, `Detokenizer`."""
    check_vocabulary(backbone, tokenizer)
    detokenizer = Detokenizer(tokenizer, backbone.token_embedding.input_dim)
    plain = text_preprocessor(backbone, tokenizer, max_length)
    return PromptPreprocessor(plain, running_text_encoder(tokenizer, plain.encoder), detokenizer, inputs, join)
