"""Texts or pairs of texts -> what a backbone reads, in graph: tokens, special tokens, truncation, padding."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import keras
import keras_hub
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.preprocessing.layout import Layout, special_token_layout
from kerasft.models.preprocessing.ragged_rows import longest_first, repeated, shortened, side_by_side
from kerasft.models.preprocessing.token_offsets import Run, TokenOffsets, all_tokens, located
from kerasft.models.tokenizers.encoder import Encoder, clean, piece_encoder, token_encoder
from kerasft.models.tokenizers.offsets import Pieces
from kerasft.models.tokenizers.traced import TEXTS, kept_trace
from kerasft.models.tokenizers.vocabulary import check_vocabulary

Made = TypeVar("Made")
FEATURES = ("token_ids", "padding_mask", "segment_ids")


class StringPreprocessor(Protocol):
    """What every task's preprocessor is to those who call it."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the string columns."""
        ...

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """{column: (batch,) strings} -> features."""
        ...

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """{column: (batch,) strings} -> where each token of the features comes from.

        Raises:
            UserError: the tokenizer is SentencePiece's, which tells no offsets.
        """
        ...


class TextPreprocessor(tf.Module):
    """The one object that turns strings into features, in training and in the SavedModel.

    Args:
        encoder: (batch,) strings -> (batch, tokens) int32; see `kerasft.models.tokenizers.encoder`.
        layout: special tokens of the family.
        features: names of the backbone's inputs.
        max_length: tokens a row is cut to, special tokens included.
        inputs: the string columns, `("text",)` or `("text", "text_pair")`.

    Attributes:
        inputs: as above.
        max_length: as above.
        pad_values: feature -> its value at a position without a token.
        takes_prompt: whether its layout may begin with more tokens, such as a soft prompt.
    """

    takes_prompt = True

    def __init__(
        self, encoder: Encoder, layout: Layout, features: Iterable[str], max_length: int, inputs: Iterable[str]
    ):
        super().__init__(name="text_preprocessor")
        self.encoder = encoder
        self.layout = layout
        self.inputs = tuple(inputs)
        self.max_length = max_length
        self.pad_values = {name: layout.pad if name == "token_ids" else 0 for name in FEATURES if name in set(features)}

    @property
    def room(self) -> int:
        """Tokens of a row that are left for texts."""
        return self.max_length - self._special()

    # AutoGraph has nothing to convert here and takes three times as long as the tracing itself.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Strings -> features, eagerly or in graph.

        Args:
            columns: name -> (batch,) strings, of any bytes, for each name in `inputs`.

        Returns:
            The backbone's inputs among `token_ids`, `padding_mask` and `segment_ids`, each (batch, longest row)
            int32 and at least one token long; `padding_mask` is 1 at tokens.
        """
        return self.measured(columns)[0]

    def lengths(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """As `__call__`, -> (batch,) int32 tokens before truncation, special tokens included."""
        return self.measured(columns)[1]

    @tf.autograph.experimental.do_not_convert
    def measured(self, columns: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Features and lengths in one pass over the texts."""
        columns = self._checked(columns)
        if not tf.executing_eagerly():
            return self._features(columns)
        return self._graph()(columns)

    def _graph(self) -> Callable[[dict[str, tf.Tensor]], tuple[dict[str, tf.Tensor], tf.Tensor]]:
        return kept_trace(self._made_of(), self._features, {name: TEXTS for name in self.inputs})

    def _made_of(self) -> tuple[Hashable, ...]:
        """What makes its features those that they are."""
        pad_values = tuple(self.pad_values.items())
        return type(self), self.encoder, self.layout, pad_values, self.max_length, self.inputs

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `StringPreprocessor.token_offsets`; a pair is cut as in the features."""
        texts = self._texts(self._checked(columns))
        pieces = [piece_encoder(self.encoder)(text) for text in texts]
        indices = self._fitting_tokens(pieces, max(self.max_length - self._special(), 0))
        runs: list[Run | tuple[int, ...]] = [self.layout.start]
        for number, (index, each) in enumerate(zip(indices, pieces)):
            last = number == len(pieces) - 1
            runs += [Run(index, each, number), self.layout.end if last else self.layout.separator]
        return located(runs, texts)

    def _checked(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if set(columns) != set(self.inputs):
            raise ValueError(f"columns are {sorted(columns)} and have to be {sorted(self.inputs)}")
        return {name: tf.convert_to_tensor(columns[name], tf.string) for name in self.inputs}

    def _texts(self, columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """(batch,) of each column, as the encoder gets them."""
        return [clean(columns[name]) for name in self.inputs]

    def _segments(self, columns: Mapping[str, tf.Tensor]) -> list[tf.RaggedTensor]:
        if len(self.inputs) == 1:
            return [self.encoder(*self._texts(columns))]
        first, second = (columns[name] for name in self.inputs)
        rows = tf.size(first)
        message = f"{' and '.join(self.inputs)} need the same number of texts"
        tf.debugging.assert_equal(tf.size(second), rows, message=message)
        # One pass over both is a smaller graph, and faster, than one for each.
        ids = self.encoder(clean(tf.concat([first, second], 0)))  # (2 * batch, tokens)
        return [ids[:rows], ids[rows:]]

    def _special(self) -> int:
        """Special tokens of a row."""
        between = len(self.layout.separator) * (len(self.inputs) - 1)
        return len(self.layout.start) + between + len(self.layout.end)

    def _features(self, columns: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        segments = self._segments(columns)
        lengths = tf.add_n([tf.cast(segment.row_lengths(), tf.int32) for segment in segments]) + self._special()
        budget = max(self.max_length - self._special(), 0)
        segments = self._fit(segments, budget)
        rows = segments[0].nrows()
        parts = [repeated(self.layout.start, rows)]
        for number, segment in enumerate(segments):
            last = number == len(segments) - 1
            parts += [segment, repeated(self.layout.end if last else self.layout.separator, rows)]
        tokens = side_by_side(parts)
        token_ids = tokens.to_tensor(self.layout.pad)  # (batch, longest)
        position = tf.range(tf.shape(token_ids)[1])[tf.newaxis]
        mask = position < tf.cast(tokens.row_lengths(), tf.int32)[:, tf.newaxis]  # (batch, longest)
        # The first text and what stands around it are segment 0.
        first = tf.add_n([tf.cast(part.row_lengths(), tf.int32) for part in parts[:3]])
        features = {
            "token_ids": token_ids,
            "padding_mask": tf.cast(mask, tf.int32),
            "segment_ids": tf.cast(mask & (position >= first[:, tf.newaxis]), tf.int32),
        }
        return {name: features[name] for name in self.pad_values}, lengths

    def _fit(self, segments: list[tf.RaggedTensor], budget: int) -> list[tf.RaggedTensor]:
        """Cuts the texts of each row to `budget` tokens together."""
        if len(segments) == 1:
            return [segments[0][:, :budget]]
        counts = longest_first(segments[0].row_lengths(), segments[1].row_lengths(), budget)
        return [shortened(segment, count) for segment, count in zip(segments, counts)]

    def _fitting_tokens(self, pieces: list[Pieces], budget: int) -> list[tf.RaggedTensor]:
        """(batch, tokens) int64 of each text: which of its tokens `_fit` keeps."""
        return self._fit([all_tokens(each) for each in pieces], budget)


def needed(preprocessor: Made | None) -> Made:
    """The preprocessor of a model. Raises ValueError: the model was made without one, and reads no strings."""
    if preprocessor is None:
        raise ValueError("this model was made without a preprocessor; make it by from_preset, or give it one")
    return preprocessor


def fitting_length(backbone: keras.Model, max_length: int | None, usual: int) -> int:
    """The tokens of a row: as many as are wished for; None: the usual number, or the backbone's positions if fewer."""
    return min(usual, getattr(backbone, "max_sequence_length", None) or usual) if max_length is None else max_length


def text_preprocessor(
    backbone: keras.Model,
    tokenizer: keras_hub.tokenizers.Tokenizer,
    max_length: int,
    inputs: Iterable[str] = ("text",),
) -> TextPreprocessor:
    """Builds the preprocessor of a backbone.

    Args:
        backbone: a KerasHub text backbone.
        tokenizer: that the backbone was trained with; its vocabulary must fit.
        max_length: tokens a row is cut to, special tokens included.
        inputs: the string columns, `("text",)` or `("text", "text_pair")`.

    Raises:
        UserError: the backbone has fewer positions than `max_length`, or reads something other than text.
    """
    names = [tensor.name for tensor in backbone.inputs]
    if not {"token_ids"} <= set(names) <= set(FEATURES):
        raise UserError(
            f"model.preset: {type(backbone).__name__} reads {', '.join(names)}; use a model that reads "
            f"token_ids and otherwise only {' and '.join(FEATURES[1:])}"
        )
    limit = getattr(backbone, "max_sequence_length", None)
    if limit is not None and max_length > limit:
        raise UserError(
            f"model.max_length: {max_length} is more than the {limit} positions of this {type(backbone).__name__}; "
            f"use {limit} or less"
        )
    if len(tuple(inputs)) > 1 and "segment_ids" in names and getattr(backbone, "num_segments", 2) < 2:
        raise UserError(
            f"model.preset: this {type(backbone).__name__} has one type of segments, and a pair of texts needs two; "
            "use a model with two (type_vocab_size of its config.json)"
        )
    check_vocabulary(backbone, tokenizer)
    layout = special_token_layout(backbone, tokenizer)
    return TextPreprocessor(token_encoder(tokenizer), layout, names, max_length, inputs)
