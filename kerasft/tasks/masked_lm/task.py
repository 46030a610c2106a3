"""Masked language modelling: an encoder learns a language, or a domain's, from plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.tasks import MaskedLMConfig
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.tasks.base.columns import check_some_text
from kerasft.tasks.masked_lm import rows
from kerasft.tasks.masked_lm.kind import KIND, samples

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.masked_rows import MaskedRows
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table
    from kerasft.models.tokenizers.vocabulary import Vocabulary

AROUND = 12  # tokens on either side of a hidden one that a sample shows


class MaskedLM(Task[MaskedLMConfig, "MaskedRows"]):
    """The task by the contract: rows of the model are full of texts, rows of the data are texts."""

    likelihood = "masked"
    pipeline = "fill-mask"
    section_class = MaskedLMConfig
    kind = KIND
    columns = rows.COLUMNS
    headline = "perplexity"
    cuts_texts = False
    augmentable = False
    fills_masks = True
    rising = ("accuracy", "top_5_accuracy")
    falling = ("perplexity", "log_loss")
    inputs = ("text",)
    _vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the preprocessor, once it is built: the decoder, which sees logits alone, reads its tokens here."""
        if self._vocabulary is None:
            raise RuntimeError("there is no vocabulary before the preprocessor is built")
        return self._vocabulary

    def check_config(self) -> None:
        super().check_config()
        architecture = self.config.model.architecture
        if architecture is not None and architecture.family != "bert":
            raise UserError(
                f"model.architecture.family: a {architecture.family} has no mask to fill; set it to bert, or task.name "
                "to text_generation"
            )
        if self.config.data.batching == "pack" and self.section.packing == "documents":
            raise UserError(
                "data.batching: pack, but task.packing: documents has filled all rows; set batching to auto, or "
                "task.packing to none for texts that share rows and do not read each other"
            )

    def schema(self) -> pa.Schema:
        return rows.SCHEMA

    def parse(self, record: Record) -> dict[str, Any]:
        return rows.read_row(record, self.config.data.columns)

    def parse_inputs(self, record: Record) -> dict[str, str]:
        return {"text": rows.read_text(record, self.config.data.columns)}

    def fit(self, splits: Mapping[str, Table]) -> None:
        check_some_text(splits)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> MaskedRows:
        from kerasft.data.prepared.masked_rows import prepare_masked_rows
        from kerasft.models.heads.masked_lm import masking_of

        task = self.section
        masking = masking_of(preprocessor, task.mask_probability, task.whole_word, self.config.seed)
        return prepare_masked_rows(table, preprocessor, masking, task.packing == "documents")

    def features_made_from(self, weighted: bool = False) -> dict[str, Any]:
        # What is hidden is drawn by the seed, which the split keeps.
        return super().features_made_from(weighted) | {"seed": self.config.seed}

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.preprocessing.masked_lm_preprocessor import masked_lm_preprocessor

        preprocessor = masked_lm_preprocessor(backbone, tokenizer, self.config.model.max_length)
        self._vocabulary = preprocessor.vocabulary
        return preprocessor

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.masked_lm import MaskedLM as Model

        return Model(backbone)

    def load_head(self, model: keras.Model, preset: str) -> None:
        from kerasft.models.presets.masked_lm_weights import load_head

        load_head(model, preset)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.masked_lm import masked_lm_loss

        return masked_lm_loss(targets, logits)

    def condense(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.masked_lm import condense

        return condense(targets, logits)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """(batch, masks, vocabulary) logits of a text's mask tokens -> what could stand there."""
        from kerasft.models.heads.masked_lm import fill

        fills = fill(logits, features["masks"], self.vocabulary, self.section.top)
        return {"text": features["texts"]} | fills

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.decode(model({name: features[name] for name in model.input}, training=False), features)

    def sample(self) -> dict[str, str]:
        return {"text": f"a text with a {self.mask_token} in it"}

    def probes(self, inputs: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
        mask = self.mask_token.encode()
        more = [b"the %s is open" % mask, mask * 3, b"one %s and %s" % (mask, mask.lower()), b"long " * 600 + mask]
        return {"text": inputs["text"] + more}

    @property
    def mask_token(self) -> str:
        return self.vocabulary.mask_token

    def metrics(self, split: MaskedRows, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.masked_lm_metrics import masked_lm_metrics

        return masked_lm_metrics(split.hidden[1], logits)

    def interval(self, split: MaskedRows, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.masked_lm_metrics import perplexity_interval

        return {"metric": self.headline} | perplexity_interval(split.hidden[1], logits, self.config.seed)

    def predictions(self, table: Table, split: MaskedRows, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """One row of the model each: its text as the model saw it, and for each hidden token the truth and guesses."""
        from kerasft.evaluation.masked_lm_metrics import guesses

        positions, truth = split.hidden
        for row, row_guesses in enumerate(guesses(truth, logits)):
            features, _, _ = split.batch(np.array([row]))
            token_ids = features["token_ids"][0][: split.lengths[row]]
            yield {
                "text": self.vocabulary.text(token_ids.tolist()),
                "masks": [
                    {
                        "truth": self.vocabulary.tokens[true],
                        "around": self._around(token_ids, position),
                        "fills": self._fills(guess.ids, guess.scores),
                    }
                    for position, true, guess in zip(positions[row].tolist(), truth[row].tolist(), row_guesses)
                ],
            }

    def _around(self, token_ids: np.ndarray, position: int) -> str:
        """A few tokens before and after a hidden one, itself as a blank whatever the model saw there."""
        before, after = token_ids[max(0, position - AROUND) : position], token_ids[position + 1 : position + 1 + AROUND]
        ids = [*before.tolist(), self.vocabulary.mask_id, *after.tolist()]
        return self.vocabulary.text(ids)

    def _fills(self, ids: list[int], scores: list[float]) -> list[dict[str, Any]]:
        tokens = [self.vocabulary.tokens[number] if number < len(self.vocabulary.tokens) else "" for number in ids]
        return [{"token": token, "score": score} for token, score in zip(tokens, scores)]

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return [
            {
                "text": text.decode("utf-8"),
                "masks": [
                    {
                        "fills": [
                            {"token": token.decode("utf-8"), "score": score}
                            for token, score in zip(tokens, probabilities)
                        ]
                    }
                    for tokens, probabilities in zip(fills, scores)
                    if any(tokens)
                ],
            }
            for text, fills, scores in zip(*(outputs[name].tolist() for name in ("text", "fills", "scores")))
        ]

    def truth(self, target: np.ndarray) -> list[str]:
        """True ids of one row -> tokens."""
        return [self.vocabulary.tokens[number] for number in target if number >= 0]

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return samples(answers)
