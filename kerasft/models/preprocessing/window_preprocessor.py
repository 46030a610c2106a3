"""Texts of any length -> windows that a backbone reads, and the units of the text that its logits are about."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import keras_hub
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.token_offsets import Run, TokenOffsets, located
from kerasft.models.preprocessing.units import Kind, Segmenter
from kerasft.models.preprocessing.windows import cover, owned, positions
from kerasft.models.tokenizers.encoder import clean, piece_encoder
from kerasft.models.tokenizers.traced import TEXTS, kept_trace


class WindowPreprocessor(tf.Module):
    """The one object that turns strings into windows, in training and in the SavedModel.

    Args:
        plain: the preprocessor of texts that are cut, for the encoder, the special tokens and the features.
        stride: tokens that neighbouring windows share.
        units: what gets a tag; see `kerasft.models.preprocessing.units`.

    Attributes:
        inputs: `("text",)`.
        max_length: tokens of a window, special tokens included.
        pad_values: feature of the backbone -> its value at a position without a token.
        special: special tokens of a window.

    Raises:
        UserError: the tokenizer tells no offsets, or the stride leaves no room.
    """

    def __init__(self, plain: TextPreprocessor, stride: int, units: Kind):
        super().__init__(name="window_preprocessor")
        self.inputs, self.max_length, self.pad_values = plain.inputs, plain.max_length, plain.pad_values
        self.encoder, self.layout = plain.encoder, plain.layout
        self.segmenter = Segmenter(units)
        self._pieces = piece_encoder(plain.encoder)
        self.special = len(plain.layout.start) + len(plain.layout.end)
        self._room = plain.max_length - self.special
        self._stride = stride
        if stride >= self._room:
            raise UserError(
                f"task.stride: {stride} is no less than the {self._room} tokens that model.max_length "
                f"{plain.max_length} leaves for text; use {self._room // 2} or less"
            )

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Strings -> features, eagerly or in graph.

        Args:
            columns: {"text": (batch,) strings of any bytes}.

        Returns:
            The backbone's inputs, each (windows, longest) int32; and what the answers are made with:
            `unit` (windows, longest) int32, the number of the unit in its text that a token opens, otherwise -1;
            `owned` (windows, longest) bool, whether the window answers for the token;
            `texts` (batch,) the texts as valid UTF-8, `windows` and `units` (batch,) int64 how many each has,
            `unit_starts` and `unit_ends` (all units,) int32 code points in `texts`.
        """
        columns = {name: tf.convert_to_tensor(columns[name], tf.string) for name in self.inputs}
        if not tf.executing_eagerly():
            return self._features(columns)
        kind = self.segmenter.kind
        made_of = (type(self), self.encoder, self.layout, tuple(self.pad_values), self.max_length, self._stride, kind)
        return kept_trace(made_of, self._features, {"text": TEXTS})(columns)

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `StringPreprocessor.token_offsets`; rows are windows."""
        text = clean(tf.convert_to_tensor(columns["text"], tf.string))
        pieces = self._pieces(text)
        windows = cover(pieces.ids.row_lengths(), self._room, self._stride)
        run = Run(positions(pieces.ids, windows), pieces, 0)
        return located([self.layout.start, run, self.layout.end], [text], windows.text)

    def _features(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        text = clean(columns["text"])
        pieces = self._pieces(text)
        units = self.segmenter(text, pieces)
        windows = cover(pieces.ids.row_lengths(), self._room, self._stride)
        index = positions(pieces.ids, windows)  # (windows, tokens)
        ids = index.with_flat_values(tf.gather(pieces.ids.flat_values, index.flat_values))
        features = {
            "token_ids": self._framed(ids, self.layout.start, self.layout.end).to_tensor(self.layout.pad),
            "padding_mask": self._framed(tf.ones_like(ids), 1, 1).to_tensor(0),
            "segment_ids": self._framed(tf.zeros_like(ids), 0, 0).to_tensor(0),
        }
        opening = index.with_flat_values(tf.gather(units.opening, index.flat_values))
        return {name: features[name] for name in self.pad_values} | {
            "unit": self._framed(opening, -1, -1).to_tensor(-1),
            "owned": self._framed(owned(pieces.ids, windows), False, False).to_tensor(False),
            "texts": text,
            "windows": tf.math.unsorted_segment_sum(
                tf.ones_like(windows.text), windows.text, tf.size(text, out_type=tf.int64)
            ),
            "units": units.counts,
            "unit_starts": units.starts,
            "unit_ends": units.ends,
        }

    def _framed(
        self, rows: tf.RaggedTensor, start: tuple[int, ...] | int, end: tuple[int, ...] | int
    ) -> tf.RaggedTensor:
        """(windows, tokens) -> with values where special tokens stand around them; one for all, or each its own."""
        sides = []
        for values, special in ((start, self.layout.start), (end, self.layout.end)):
            row = list(values) if isinstance(values, tuple) else [values] * len(special)
            flat = tf.tile(tf.constant(row, rows.dtype, shape=[len(row)]), [tf.cast(rows.nrows(), tf.int32)])
            sides.append(tf.RaggedTensor.from_uniform_row_length(flat, len(row), nrows=rows.nrows()))
        return tf.concat([sides[0], rows, sides[1]], axis=1)


def window_preprocessor(
    backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer, max_length: int, stride: int, units: Kind
) -> WindowPreprocessor:
    """Builds the preprocessor of a backbone; arguments and errors of `text_preprocessor` and `WindowPreprocessor`."""
    return WindowPreprocessor(text_preprocessor(backbone, tokenizer, max_length), stride, units)
