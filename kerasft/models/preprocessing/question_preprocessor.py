"""A question and a context of any length -> windows that a backbone reads, and where their tokens come from."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import keras_hub
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.families import is_decoder
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.ragged_rows import repeated, side_by_side
from kerasft.models.preprocessing.token_offsets import Run, TokenOffsets, all_tokens, located
from kerasft.models.preprocessing.units import Segmenter
from kerasft.models.preprocessing.windows import Windows, cover, owned, positions
from kerasft.models.tokenizers.encoder import clean, piece_encoder
from kerasft.models.tokenizers.offsets import Pieces
from kerasft.models.tokenizers.traced import TEXTS, kept_trace

INPUTS = ("question", "context")
NOWHERE = -1  # the start and the end of a token that no answer can begin or end with


class QuestionPreprocessor(tf.Module):
    """The one object that turns questions and contexts into windows, in training and in the SavedModel.

    A window is [CLS] question [SEP] part of the context [SEP], by the special tokens of the family. Every window has
    the whole question, cut at its limit; what room it leaves is the context's.

    Args:
        plain: the preprocessor of texts that are cut, for the encoder, the special tokens and the features.
        stride: tokens of the context that neighbouring windows share; half the room where it is less.
        longest_question: tokens that a question is cut to.
        null_last: whether "no answer" is the last token instead of the first, as in models that read left to right.

    Attributes:
        inputs: `("question", "context")`.
        max_length: tokens of a window, special tokens included.
        pad_values: feature of the backbone -> its value at a position without a token.

    Raises:
        UserError: the tokenizer tells no offsets, or the question leaves no room.
    """

    def __init__(self, plain: TextPreprocessor, stride: int, longest_question: int, null_last: bool = False):
        super().__init__(name="question_preprocessor")
        self.inputs, self.max_length, self.pad_values = INPUTS, plain.max_length, plain.pad_values
        self.encoder, self.layout = plain.encoder, plain.layout
        self.segmenter = Segmenter("pieces")
        self._pieces = piece_encoder(plain.encoder)
        self._special = sum(map(len, (plain.layout.start, plain.layout.separator, plain.layout.end)))
        self._stride, self._longest_question, self._null_last = stride, longest_question, null_last
        if plain.max_length - self._special - longest_question < 1:
            raise UserError(
                f"task.max_question_length: {longest_question} leaves no token of model.max_length "
                f"{plain.max_length} for the context; use {(plain.max_length - self._special) // 2} or less"
            )

    @tf.autograph.experimental.do_not_convert  # there is nothing to convert, and it takes longer than the tracing
    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Strings -> features, eagerly or in graph.

        Args:
            columns: {"question": (batch,), "context": (batch,)} strings of any bytes.

        Returns:
            The backbone's inputs, each (windows, longest) int32; and what answers are made with:
            `starts` and `ends` (windows, longest) int32, the code points of the context that a token was made from,
            or NOWHERE where it is none of the context's or white space alone;
            `owned` (windows, longest) bool, whether the window answers for the token of the context;
            `null` (windows, longest) bool, the token that stands for "no answer";
            `texts` (batch,) the contexts as valid UTF-8, `windows` (batch,) int64 how many each has, `lengths`
            (batch,) int64 tokens of question, context and special ones before windows were made, `cut` (batch,) bool,
            whether the question lost tokens.
        """
        columns = {name: tf.convert_to_tensor(columns[name], tf.string) for name in self.inputs}
        if not tf.executing_eagerly():
            return self._features(columns)
        settings = (self.max_length, self._stride, self._longest_question, self._null_last)
        made_of = (type(self), self.encoder, self.layout, tuple(self.pad_values), *settings)
        return kept_trace(made_of, self._features, {name: TEXTS for name in self.inputs})(columns)

    def _features(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        question_ids, pieces, context = self._encoded(columns)
        questions = question_ids[:, : self._longest_question]
        windows = self._windows(questions, pieces)
        starts, ends = self._offsets(pieces, context)
        rows = tf.size(context, out_type=tf.int64)
        return self._model_inputs(tf.gather(questions, windows.text), pieces, windows, starts, ends) | {
            "texts": context,
            "windows": tf.math.unsorted_segment_sum(tf.ones_like(windows.text), windows.text, rows),
            "lengths": question_ids.row_lengths() + pieces.ids.row_lengths() + self._special,
            "cut": question_ids.row_lengths() > self._longest_question,
        }

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `StringPreprocessor.token_offsets`; rows are windows."""
        texts = [clean(tf.convert_to_tensor(columns[name], tf.string)) for name in self.inputs]
        question_pieces, pieces = map(self._pieces, texts)
        questions = all_tokens(question_pieces)[:, : self._longest_question]
        windows = self._windows(questions, pieces)
        runs = [
            Run(tf.gather(questions, windows.text), question_pieces, 0),
            Run(positions(pieces.ids, windows), pieces, 1),
        ]
        layout = self.layout
        return located([layout.start, runs[0], layout.separator, runs[1], layout.end], texts, windows.text)

    def _windows(self, questions: tf.RaggedTensor, context: Pieces) -> Windows:
        """Those of the contexts in the room that (batch, tokens) questions leave."""
        room = self.max_length - self._special - questions.row_lengths()  # (batch,)
        return cover(context.ids.row_lengths(), room, tf.minimum(tf.cast(self._stride, room.dtype), room // 2))

    def _encoded(self, columns: Mapping[str, tf.Tensor]) -> tuple[tf.RaggedTensor, Pieces, tf.Tensor]:
        """-> (batch, tokens) ids of the questions, the pieces of the contexts, (batch,) contexts as valid UTF-8."""
        question, context = (columns[name] for name in self.inputs)
        rows = tf.size(question)
        tf.debugging.assert_equal(tf.size(context), rows, message="question and context need the same number of texts")
        # One pass over both is a smaller graph, and faster, than one for each.
        text = clean(tf.concat([question, context], 0))  # (2 * batch,)
        both = self._pieces(text)
        first = both.ids.row_splits[rows]
        return both.ids[:rows], Pieces(both.ids[rows:], *(values[first:] for values in both[1:])), text[rows:]

    def _offsets(self, pieces: Pieces, context: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(all tokens,), (all tokens,) where in the context each begins and ends, without white space before it."""
        units = self.segmenter(context, pieces)
        opens = units.opening >= 0
        number = tf.where(opens, tf.cumsum(tf.cast(opens, tf.int32)) - 1, tf.size(units.starts))
        starts, ends = (tf.gather(tf.concat([each, [NOWHERE]], 0), number) for each in (units.starts, units.ends))
        return starts, ends

    def _model_inputs(
        self, questions: tf.RaggedTensor, pieces: Pieces, windows: Windows, starts: tf.Tensor, ends: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Everything that is (windows, longest); `questions` are those of the windows."""
        layout, count = self.layout, questions.nrows()
        index = positions(pieces.ids, windows)  # (windows, tokens)

        def part(values: tf.Tensor) -> tf.RaggedTensor:
            return index.with_flat_values(tf.gather(values, index.flat_values))

        before = [repeated(layout.start, count), questions, repeated(layout.separator, count)]
        tokens = side_by_side([*before, part(pieces.ids.flat_values), repeated(layout.end, count)])
        token_ids = tokens.to_tensor(layout.pad)  # (windows, longest)
        position = tf.range(tf.shape(token_ids, tf.int64)[1])[tf.newaxis]
        lengths = tokens.row_lengths()[:, tf.newaxis]  # (windows, 1)
        begins = tf.add_n([each.row_lengths() for each in before])  # (windows,) where the context does
        mask = position < lengths
        features = {
            "token_ids": token_ids,
            "padding_mask": tf.cast(mask, tf.int32),
            "segment_ids": tf.cast(mask & (position >= begins[:, tf.newaxis]), tf.int32),
        }

        def placed(rows: tf.RaggedTensor, default: int | bool) -> tf.Tensor:
            fill = tf.fill(tf.reduce_sum(begins, keepdims=True), tf.cast(default, rows.dtype))
            padding = tf.RaggedTensor.from_row_lengths(fill, begins, validate=False)
            padded = side_by_side([padding, rows]).to_tensor(default)  # (windows, longest - end)
            return tf.pad(padded, [[0, 0], [0, len(layout.end)]], constant_values=tf.cast(default, rows.dtype))

        return {name: features[name] for name in self.pad_values} | {
            "starts": placed(part(starts), NOWHERE),
            "ends": placed(part(ends), NOWHERE),
            "owned": placed(owned(pieces.ids, windows), False),
            "null": position == (lengths - 1 if self._null_last else tf.zeros_like(lengths)),
        }


def question_preprocessor(
    backbone: keras.Model,
    tokenizer: keras_hub.tokenizers.Tokenizer,
    max_length: int,
    stride: int,
    longest_question: int,
) -> QuestionPreprocessor:
    """Builds the preprocessor of a backbone; arguments and errors of `text_preprocessor` and the class."""
    plain = text_preprocessor(backbone, tokenizer, max_length)
    return QuestionPreprocessor(plain, stride, longest_question, null_last=is_decoder(backbone))
