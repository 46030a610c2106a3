"""Texts inside a template -> what a backbone reads: texts are cut where they are too long, the template never is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.preprocessing.layout import Layout
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.ragged_rows import repeated, side_by_side
from kerasft.models.preprocessing.token_offsets import Run, TokenOffsets, located
from kerasft.models.tokenizers.encoder import clean, piece_encoder
from kerasft.models.tokenizers.traced import TEXTS, traced_once
from kerasft.prompting.similar_examples import SimilarExamples
from kerasft.prompting.templates import MASK, Template

LEAST = 4  # tokens that a template leaves for texts


class TemplatePreprocessor(TextPreprocessor):
    """`TextPreprocessor` with words around the texts, which lose the white space at their ends.

    Tokens are those of the whole prompt where words and texts meet at white space: each side is tokenized by itself, a
    space in front of a text with the text.

    Args:
        plain: the preprocessor of the backbone.
        parts: in their order: token ids, or the name of a column.
        spaced: names of columns that have a space in front.
        room: tokens that the model puts in beside these.
        mask_id: of the template's mask, which stands for itself alone: one that is spelt out in a text is unknown
            there. None: the row ends with its last part, for a decoder that goes on from there.
        examples: that stand behind the row's start, by its texts; they take no room from the texts, see `room`.
    """

    def __init__(
        self,
        plain: TextPreprocessor,
        parts: Sequence[tuple[int, ...] | str],
        spaced: Sequence[str] = (),
        room: int = 0,
        mask_id: int | None = None,
        examples: SimilarExamples | None = None,
    ):
        self.examples, self.takes_prompt = examples, mask_id is not None
        layout = plain.layout
        layout = Layout(layout.start, layout.separator, () if mask_id is None else layout.end, layout.pad)
        super().__init__(plain.encoder, layout, plain.pad_values, plain.max_length - room, plain.inputs)
        signature = {name: TEXTS for name in self.inputs}
        self._with_examples = None if examples is None else traced_once(self._features, signature)
        self.parts, self.spaced, self.mask_id = tuple(parts), frozenset(spaced), mask_id
        if self.max_length - self._special() < LEAST:
            raise UserError(
                f"model.max_length: {plain.max_length} leaves no room for texts beside the {self._special() + room} "
                "tokens of prompting.template and labels; raise it, or write a shorter template"
            )

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `TextPreprocessor.token_offsets`, of texts as the template has them.

        Raises:
            UserError: examples differ from text to text, and none of them is in the texts.
        """
        if self.examples is not None:
            raise UserError("prompting.choose: similarity has other tokens before each text; explain with balance")
        texts = self._texts(self._checked(columns))
        pieces = [piece_encoder(self.encoder)(text) for text in texts]
        indices = self._fitting_tokens(pieces, self.max_length - self._special())
        runs: list[Run | tuple[int, ...]] = [self.layout.start]
        for part in self.parts:
            number = self.inputs.index(part) if isinstance(part, str) else -1
            runs.append(part if isinstance(part, tuple) else Run(indices[number], pieces[number], number))
        return located([*runs, self.layout.end], texts)

    def _texts(self, columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        texts = [tf.strings.strip(clean(columns[name])) for name in self.inputs]
        return [tf.strings.join([" ", text]) if name in self.spaced else text for name, text in zip(self.inputs, texts)]

    def _segments(self, columns: Mapping[str, tf.Tensor]) -> list[tf.RaggedTensor]:
        segments = [self.encoder(text) for text in self._texts(columns)]
        if self.mask_id is None:
            return segments
        known = getattr(self.encoder, "unknown_id", None)
        unknown = self.layout.pad if known is None else known
        return [
            each.with_flat_values(tf.where(each.flat_values == self.mask_id, unknown, each.flat_values))
            for each in segments
        ]

    def _graph(self) -> Callable[[dict[str, tf.Tensor]], tuple[dict[str, tf.Tensor], tf.Tensor]]:
        """With examples its own: they are large, no other preprocessor has them, and they go with this one."""
        return super()._graph() if self._with_examples is None else self._with_examples

    def _made_of(self) -> tuple[Hashable, ...]:
        return *super()._made_of(), self.parts, self.spaced, self.mask_id

    def _special(self) -> int:
        words = sum(len(part) for part in self.parts if isinstance(part, tuple))
        return len(self.layout.start) + words + len(self.layout.end)

    def _features(self, columns: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        segments = self._segments(columns)
        lengths = tf.add_n([tf.cast(segment.row_lengths(), tf.int32) for segment in segments]) + self._special()
        segments, rows = self._fit(segments, self.max_length - self._special()), segments[0].nrows()
        parts = [repeated(self.layout.start, rows)]
        if self.examples is not None:
            parts.append(before := self.examples(segments))
            lengths += tf.cast(before.row_lengths(), tf.int32)
        for part in self.parts:
            parts.append(repeated(part, rows) if isinstance(part, tuple) else segments[self.inputs.index(part)])
        tokens = side_by_side([*parts, repeated(self.layout.end, rows)])
        token_ids = tokens.to_tensor(self.layout.pad)  # (batch, longest)
        mask = tf.sequence_mask(tokens.row_lengths(), tf.shape(token_ids)[1], tf.int32)
        features = {"token_ids": token_ids, "padding_mask": mask, "segment_ids": tf.zeros_like(token_ids)}
        return {name: features[name] for name in self.pad_values}, lengths


def template_preprocessor(
    backbone: keras.Model,
    tokenizer: Any,
    template: Template,
    inputs: Sequence[str],
    max_length: int,
    room: int = 0,
    examples: SimilarExamples | None = None,
) -> TemplatePreprocessor:
    """The preprocessor of a template with a `{mask}` for an encoder, or with `{label}` at its end for a decoder.

    Raises:
        UserError: the tokenizer is of another kind, or the template leaves no room.
    """
    plain = text_preprocessor(backbone, check_tokenizer(tokenizer), max_length, inputs)
    parts, spaced, mask_id = template_parts(plain.encoder, tokenizer, template, inputs)
    return TemplatePreprocessor(plain, parts, spaced, room, mask_id, examples)


def template_parts(
    encoder: Any, tokenizer: Any, template: Template, inputs: Sequence[str]
) -> tuple[list[tuple[int, ...] | str], list[str], int | None]:
    """A template as `TemplatePreprocessor` has it: parts, columns with a space in front, the id of its mask."""
    byte_level = isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer)
    parts: list[tuple[int, ...] | str] = []
    spaced: list[str] = []
    mask_id: int | None = None
    for words, name in template.parts:
        space = byte_level and words.endswith(" ") and name is not None
        if words := words[:-1] if space else words:
            parts.append(tuple(token_ids(encoder, [words])[0]))
        if name == MASK:  # takes the space in front, as in the models that have learnt with it
            mask_id = int(tokenizer.mask_token_id)
            parts.append((mask_id,))
        elif name is not None and name in inputs:
            parts.append(name)
            spaced += [name] if space else []
    return parts, spaced, mask_id


def check_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer itself. Raises UserError: words and texts can't be tokenized side by side with it."""
    kinds = (keras_hub.tokenizers.WordPieceTokenizer, keras_hub.tokenizers.BytePairTokenizer)
    if not isinstance(tokenizer, kinds):
        raise UserError(
            f"model.preset: prompting puts words around texts, which a {type(tokenizer).__name__} does not take; use a "
            "model with WordPiece or byte-level BPE, or prompting.method: embedding"
        )
    return tokenizer


def token_ids(encoder: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts without special tokens."""
    encode = tf.function(lambda batch: encoder(clean(batch)), [tf.TensorSpec([None], tf.string)], autograph=False)
    return encode(tf.constant(list(texts))).to_list()
