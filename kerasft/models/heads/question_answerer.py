"""A head that says where in a context the answer to a question begins and ends, for any KerasHub backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.models.heads.answer_spans import answers, best_spans, choose
from kerasft.models.heads.answer_targets import answer_targets
from kerasft.models.preprocessing.preprocessor import fitting_length, needed
from kerasft.models.preprocessing.question_preprocessor import QuestionPreprocessor, question_preprocessor
from kerasft.models.presets.layer_settings import hidden_dropout
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset


class QuestionAnswerer(keras.Model):
    """A backbone with two logits a token: is it the answer's first, its last? (Devlin et al. 2018, arXiv:1810.04805)

    A functional model: the backbone's inputs -> (windows, length, 2) float32. To train one with `fit`, map a dataset
    of batches of {question, context, start, end} through `examples` and take `answer_targets.answer_loss`.

    Args:
        backbone: a KerasHub backbone with `token_ids` and `padding_mask`.
        dropout: rate before the last layer; None: the backbone's own.
        preprocessor: strings -> windows, for `examples` and `answer`.
    """

    def __init__(
        self, backbone: keras.Model, dropout: float | None = None, preprocessor: QuestionPreprocessor | None = None
    ):
        hidden = backbone.output  # a tensor, or BERT's pair of sequence and pooled output
        sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
        rate = hidden_dropout(backbone) if dropout is None else dropout
        sequence = keras.layers.Dropout(rate, name="answer_dropout")(sequence)
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        dense = keras.layers.Dense(2, kernel_initializer=initializer, dtype="float32", name="answer")
        super().__init__(backbone.input, dense(sequence), name="question_answerer")
        self.preprocessor = preprocessor

    @classmethod
    def from_preset(
        cls,
        preset: str,
        max_length: int | None = None,
        stride: int | None = None,
        longest_question: int | None = None,
        dropout: float | None = None,
    ) -> QuestionAnswerer:
        """A pre-trained backbone with an untrained head.

        Args:
            preset: as `model.preset` in a config.
            max_length: tokens of a window, special tokens included; None: 384, or the positions of a shorter backbone.
            stride: tokens of the context that neighbouring windows share; None: 128, or a third of a shorter window.
            longest_question: tokens that a question is cut to; None: 64, or a third of a shorter window.
            dropout: see the class.

        Raises:
            UserError: the preset can't be had, or does not fit.
        """
        resolved = resolve_preset(preset)
        backbone = load_backbone(resolved)
        tokenizer = load_tokenizer(resolved)
        max_length = fitting_length(backbone, max_length, 384)
        stride = min(128, max_length // 3) if stride is None else stride
        longest_question = min(64, max_length // 3) if longest_question is None else longest_question
        return cls(backbone, dropout, question_preprocessor(backbone, tokenizer, max_length, stride, longest_question))

    def examples(self, rows: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """What the model learns from; eagerly or in `Dataset.map`.

        Args:
            rows: `question`, `context` (batch,) strings; `start`, `end` (batch,) code points of the answer in its
                context, -1 and -1 where there is none.

        Returns:
            The model's inputs and its targets, (windows, length) each: a row of theirs is a window of a context.
        """
        preprocessor = needed(self.preprocessor)
        features = preprocessor({name: rows[name] for name in preprocessor.inputs})
        return {name: features[name] for name in self.input}, answer_targets(features, rows["start"], rows["end"])

    def answer(
        self,
        questions: Sequence[str] | tf.Tensor,
        contexts: Sequence[str] | tf.Tensor,
        count: int = 20,
        longest: int = 30,
        threshold: float | None = None,
    ) -> dict[str, tf.Tensor]:
        """(batch,), (batch,) strings -> what `answer_spans.answers` gives; arguments of `best_spans` and `choose`."""
        columns = {"question": questions, "context": contexts}
        features = needed(self.preprocessor)(
            {name: tf.convert_to_tensor(texts, tf.string) for name, texts in columns.items()}
        )
        logits = self({name: features[name] for name in self.input}, training=False)
        return answers(choose(best_spans(logits, features, count, longest), threshold), features["texts"])
