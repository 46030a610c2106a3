"""Why a decoder wrote what it wrote: each token is explained by the words of the prompt and those written before it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.attribution.base import Question
from kerasft.attribution.explainer import Asked, Explainer, Row
from kerasft.attribution.vectors import Batch, VectorModel
from kerasft.attribution.words import Word, split_words, words_of, words_of_tokens
from kerasft.errors import UserError
from kerasft.tasks.base import Explained

if TYPE_CHECKING:
    from kerasft.runs import Trained

MOST_TOKENS = 32  # of an answer that are explained: each takes a call of the model of its own


class Prompt(NamedTuple):
    """What a model reads before it writes.

    Attributes:
        read: ids of the tokens of the text.
        begin: ids that a decoder with an encoder begins with; none of a decoder alone.
    """

    read: np.ndarray
    begin: np.ndarray


class WrittenExplainer(Explainer):
    """A decoder that says how each token of its answer came about.

    Words are hidden by the token that ends a document, since decoders have no mask. A token that is not read yet has no
    score. Answers are written greedily or by the seed, as without beams.

    Args:
        trained: a run's model of a task that writes with a decoder alone.
    """

    names: tuple[str, str] = ("prompt", "written")

    def __init__(self, trained: Trained):
        self._prepare(trained)
        pad_values = {"token_ids": self.preprocessor.begin, "padding_mask": 0}
        self.model = VectorModel(trained.model, pad_values, self.preprocessor.end)

    def _prepare(self, trained: Trained) -> None:
        self.task, self.preprocessor, self.keras_model = trained.task, trained.preprocessor, trained.model
        self.inputs = self.names
        spec = [{name: tf.TensorSpec([None], tf.string) for name in self.preprocessor.inputs}]
        self._prompt = tf.function(self.preprocessor, input_signature=spec, autograph=False)

    def _prompt_of(self, features: Batch) -> Prompt:
        """What the model reads of the features of one row."""
        ids = features["token_ids"].numpy()[0, : int(features["lengths"][0])]
        return Prompt(ids, np.zeros(0, np.int32))

    def _inputs(self, prompt: Prompt, written: Sequence[int]) -> tuple[dict[str, np.ndarray], int]:
        """The inputs of one row before its next token, and at which place that is said."""
        ids = np.concatenate([prompt.read, written]).astype(np.int32)
        return {"token_ids": ids, "padding_mask": np.ones_like(ids)}, len(ids) - 1

    def ask(self, rows: Sequence[Row], label: str | None = None, contrast: str | None = None) -> list[list[Asked]]:
        """See `Explainer.ask`. Raises UserError: a label or a contrast is given."""
        if label is not None or contrast is not None:
            raise UserError("--label and --contrast: for labels, and this model writes texts; leave them out")
        return [self._written(number, row) for number, row in enumerate(rows)]

    def _written(self, row_number: int, row: Row) -> list[Asked]:
        columns = {name: tf.constant([row[name]], tf.string) for name in self.preprocessor.inputs}
        features, generator = self._prompt(columns), self.task.generator
        prompt = self._prompt_of(features)
        written = []
        for token in generator.stream(features, generator.sampling_params(features)):
            written.append(int(token))
            if len(written) == MOST_TOKENS:
                break
        located = self.preprocessor.token_offsets(columns)
        text, (whole, answer) = located.texts[0].numpy()[0].decode("utf-8"), self._spelt(written)
        begin = [(0, 0)] * len(prompt.begin)
        offsets = np.array([*located.offsets.to_list()[0], *begin, *answer], np.int64).reshape(-1, 2)
        of_column = [*located.column.to_list()[0], *([-1] * len(begin)), *([1] * len(written))]
        words = [*words_of([text]), *(Word(1, *span) for span in split_words(whole))]
        of_token = words_of_tokens(words, offsets, np.array(of_column, np.int64))
        asked = []
        for number, (token, (start, end)) in enumerate(zip(written, answer)):
            inputs, place = self._inputs(prompt, written[:number])
            index = np.array([[place, token]])
            known = of_token[: len(inputs["token_ids"])]
            question = Question(inputs, known, len(words), index, np.ones(1))
            facts = {"of": "token", "start": start, "end": end, "written": whole}
            explained = Explained(whole[start:end], 0, index, np.ones(1), facts)
            asked.append(Asked(row_number, explained, question, (text, whole), words))
        return asked

    def _spelt(self, tokens: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text that tokens spell, and the (start, end) code points that each of them completes."""
        spelling, decoder = self.preprocessor.detokenizer.token_bytes, codecs.getincrementaldecoder("utf-8")("replace")
        text, spans = "", []
        for place, token in enumerate(tokens, 1):
            start = len(text)
            text += decoder.decode(spelling[token], final=place == len(tokens))
            spans.append((start, len(text)))
        return text, spans
