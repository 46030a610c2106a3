"""Texts -> explanations of a model's answers to them, word by word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kerasft.attribution.base import Attributed, Attribution, Question
from kerasft.attribution.served import described
from kerasft.attribution.vectors import VectorModel, baseline_id
from kerasft.attribution.words import Word, words_of, words_of_tokens

if TYPE_CHECKING:
    from kerasft.runs import Trained
    from kerasft.tasks.base import Explained

TEXTS_AT_ONCE = 64

Row = dict[str, str]


class Asked:
    """A number behind an answer, ready to be explained.

    Attributes:
        row: number of the text among those that were given.
        explained: which number.
        question: the same as a method of attribution takes it.
        texts: of the row, as valid UTF-8, in the order of the model's inputs.
        words: of these texts.
    """

    def __init__(self, row: int, explained: Explained, question: Question, texts: Sequence[str], words: Sequence[Word]):
        self.row, self.explained, self.question, self.texts, self.words = row, explained, question, texts, words


class Explainer:
    """A trained model that says how its answers came about.

    Args:
        trained: a run's model, in float32 and with Keras' own layers.

    Raises:
        UserError: it writes texts, or has no layer of token embeddings as KerasHub makes them.
    """

    def __init__(self, trained: Trained):
        self.task, self.preprocessor, self.keras_model = trained.task, trained.preprocessor, trained.model
        self.inputs = tuple(self.preprocessor.inputs)
        self.model = VectorModel(trained.model, self.preprocessor.pad_values, baseline_id(self.preprocessor))
        spec = [{name: tf.TensorSpec([None], tf.string) for name in self.inputs}]
        self._read = tf.function(self._features_and_logits, input_signature=spec, autograph=False)

    def explain(
        self, rows: Sequence[Row], method: Attribution, label: str | None = None, contrast: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Explanations in the order of the rows, each a JSON-able dict; a row has one for each thing it answers.

        Args:
            rows: {input: text} each.
            method: of attribution.
            label: explained instead of the answer.
            contrast: against which label; "": against the next likeliest.

        Yields:
            See `as_json`. A row in which nothing was found has one with label None and no figures.
        """
        for start in range(0, len(rows), TEXTS_AT_ONCE):
            part = rows[start : start + TEXTS_AT_ONCE]
            asked = self.ask(part, label, contrast)
            flat = [one for each in asked for one in each]
            results = iter(method.attribute(self.model, [one.question for one in flat]))
            for number, each in enumerate(asked):
                if not each:
                    yield {"row": start + number, "label": None, "method": method.name, "completeness_gap": None} | {
                        "words": []
                    }
                for one in each:
                    yield {"row": start + number} | as_json(one, next(results), method.name, self.inputs)

    def ask(self, rows: Sequence[Row], label: str | None = None, contrast: str | None = None) -> list[list[Asked]]:
        """The numbers behind the answers to a batch of texts, a list for each text."""
        columns = {name: tf.constant([row[name] for row in rows], tf.string) for name in self.inputs}
        features, logits = tf.nest.map_structure(lambda tensor: tensor.numpy(), self._read(columns))
        explained = self.task.explained(logits, features, label, contrast)
        located = self.preprocessor.token_offsets(columns)
        offsets, places = located.offsets.to_list(), located.column.to_list()
        texts = [[text.decode("utf-8") for text in column.numpy()] for column in located.texts]
        asked: list[list[Asked]] = []
        for number, each in enumerate(explained):
            mine = [column[number] for column in texts]
            words = words_of(mine) if each else []
            asked.append([])
            for one in each:
                spans = np.array(offsets[one.row], np.int64).reshape(-1, 2)
                of_token = words_of_tokens(words, spans, np.array(places[one.row], np.int64))
                row = {name: features[name][one.row, : len(spans)] for name in self.model.names}
                question = Question(row, of_token, len(words), one.index, one.weights)
                asked[-1].append(Asked(number, one, question, mine, words))
        return asked

    def _features_and_logits(self, columns: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        features = self.preprocessor(columns)
        return features, self.keras_model({name: features[name] for name in self.model.names}, training=False)


def as_json(asked: Asked, result: Attributed, method: str, inputs: Sequence[str]) -> dict[str, Any]:
    """An explanation as `kerasft explain` prints it.

    Returns:
        `label`, `method`, `completeness_gap`, `value` and `baseline` (of the number that is explained, with and
        without the words), `remainder` (of special tokens), `points`, what the task tells of the number, and `words`:
        `text`, `start`, `end` (code points of the text as it was given) and `score`, None where the model does not
        read the word; with several texts also `input`, the name of the word's.
    """
    figures = described(result, asked.question.read(), asked.words, asked.texts, inputs)
    return {"label": asked.explained.label, **asked.explained.facts, "method": method} | figures
