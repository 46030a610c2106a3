"""Seq2seq: an encoder reads a text, a decoder writes another: translation, summaries, answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.seq2seq import Seq2SeqConfig
from kerasft.errors import UserError
from kerasft.tasks.generation.mode import Mode
from kerasft.tasks.generation.written_texts import WritesTexts, drawn_samples
from kerasft.tasks.seq2seq.kind import KIND
from kerasft.tasks.seq2seq.rows import input_and_output

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kerasft.data.prepared.inputs_outputs import InputsOutputs
    from kerasft.data.tables.table import Table

COPY = "copy_baseline"  # figures of inputs that are taken for outputs as they are


class Seq2Seq(WritesTexts[Seq2SeqConfig, "InputsOutputs"]):
    """The task by the contract; a row of the data is a text with the one that is to be written."""

    pipeline = "text2text-generation"
    section_class = Seq2SeqConfig
    peft_type = "SEQ_2_SEQ_LM"
    kind = KIND
    honours = ("label_smoothing",)
    measures_answers = True
    encoder_decoder = True
    one_of_many = explains = True

    def choose_mode(self) -> Mode:
        return input_and_output(self.config, self.section)

    @property
    def max_output_length(self) -> int:
        """Tokens of an output."""
        limit = self.section.max_output_length
        return self.config.model.max_length if limit is None else limit

    @property
    def positions(self) -> int:
        return max(self.config.model.max_length, self.max_output_length)

    @property
    def limits(self) -> dict[str, tuple[str, int]]:
        lengths = ("task.max_output_length", self.max_output_length)
        return {"inputs": super().limits["texts"], "outputs": lengths}

    def cut_at(self, name: str) -> tuple[str, int]:
        return self.limits["outputs" if name == "output" else "inputs"]

    def check_config(self) -> None:
        super().check_config()
        longest, max_new_tokens = self.max_output_length, self.section.decoding.max_new_tokens
        sizes = self.config.model.architecture
        if self.config.data.batching == "pack":
            raise UserError(
                "data.batching: pack is for models that read one text, not for an encoder with a decoder; use bucket, "
                "or pad on a TPU"
            )
        if max_new_tokens >= longest:
            raise UserError(
                f"task.decoding.max_new_tokens: {max_new_tokens} have no room in the {longest} tokens of an output; "
                f"use {longest - 1} or less, or a larger task.max_output_length"
            )
        if sizes is not None and sizes.positions is not None and sizes.positions < longest:
            raise UserError(
                f"model.architecture.positions: {sizes.positions} is less than the {longest} tokens of an output; use "
                "that or more"
            )

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> InputsOutputs:
        from kerasft.data.prepared.inputs_outputs import prepare_pairs

        return prepare_pairs(table, preprocessor)

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.generation.cached_encoder_decoder import EncoderDecoder
        from kerasft.models.preprocessing.seq2seq_preprocessor import seq2seq_preprocessor

        lengths = self.config.model.max_length, self.max_output_length
        preprocessor = seq2seq_preprocessor(backbone, tokenizer, *lengths, **self.mode.joined())
        decoder = EncoderDecoder(backbone, preprocessor.begin, self.max_output_length)
        self.make_generator(decoder, preprocessor.detokenizer)
        return preprocessor

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.seq2seq_lm import EncoderDecoderLM

        return EncoderDecoderLM(backbone)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.causal_lm import causal_lm_loss

        return causal_lm_loss(targets, logits, self.config.training.label_smoothing)

    def sample(self) -> dict[str, str]:
        texts = {"instruction": "what is to be done", "input": "with which text"}
        return {name: texts[name] for name in self.inputs}

    def predictions(self, table: Table, split: InputsOutputs, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """Rows drawn by the seed: the input, the whole output of the data, however long, and what is written."""
        from kerasft.evaluation.written_samples import draw_rows, write_answers

        task = self.section
        indices = draw_rows(np.arange(len(split)), max(task.samples, task.measured_answers), self.config.seed)
        texts = write_answers(self.generator, split.encoder, indices)
        for row, text in zip(table.rows(indices), texts):
            yield {name: row[name] for name in self.inputs} | {"truth": row["output"], "text": text}

    def answer_metrics(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Beside the figures those of the inputs themselves: below them, a model has done harm."""
        from kerasft.evaluation.text_scores import text_scores

        references = [row["truth"] for row in answers]
        copied = text_scores(references, [row[self.inputs[-1]] for row in answers])
        return text_scores(references, [row["text"] for row in answers]) | {COPY: copied}

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return drawn_samples(answers, self.inputs[-1], self.section.samples, self.config.seed)
