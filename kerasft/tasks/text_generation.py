"""Text generation: a decoder learns from plain text, or from prompts with answers, and writes on."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kerasft.errors import UserError
from kerasft.models.prompt_template import PromptTemplate, plain_template
from kerasft.tasks.base import Column, Number, Task
from kerasft.tasks.columns import check_some_text, first_text, text_of

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kerasft.data.next_tokens import NextTokens
    from kerasft.data.sources import Record
    from kerasft.data.table import Table


PROMPT = ("instruction", "input")  # roles of columns that a prompt is made of


class TextGeneration(Task):
    """The task by the contract: rows of the data are texts that fill rows of the model, or prompts with answers."""

    headline = "perplexity"
    rising = ("accuracy",)
    falling = ("perplexity", "log_loss", "bits_per_byte")
    needs_training = False  # a decoder's output layer is its own
    generator = None  # once model and preprocessor are built

    @property
    def columns(self) -> tuple[Column, ...]:
        if self._corpus:
            return (Column("text"),)
        return (*(Column(role, required=False) for role in PROMPT), Column("output"))

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("prompt",) if self._corpus else tuple(role for role in PROMPT if role in self.config.data.columns)

    @property
    def texts(self) -> tuple[str, ...]:
        return ("text",) if self._corpus else (*self.inputs, "output")

    @property
    def _corpus(self) -> bool:
        return self.config.task.mode == "corpus"

    @functools.cached_property
    def template(self) -> PromptTemplate:
        """How a prompt is made of `inputs`."""
        return PromptTemplate(self.config.task.template or plain_template(self.inputs), self.inputs)

    def check_config(self) -> None:
        super().check_config()
        if not self.inputs:
            raise UserError("data.columns: a prompt is made of instruction or input; name one, such as input: NAME")
        if not self._corpus:
            self.template  # noqa: B018  is checked when it is made
        training, model, wished = self.config.training, self.config.model, self.config.task.decoding.max_new_tokens
        if training.class_weights is not None or training.label_smoothing:
            raise UserError("training.class_weights and training.label_smoothing: not for task text_generation")
        if model.architecture is not None and model.architecture.family != "gpt2":
            raise UserError(
                f"model.architecture.family: a {model.architecture.family} does not write texts; set it to gpt2"
            )
        if wished >= model.max_length:
            raise UserError(
                f"task.decoding.max_new_tokens: {wished} leaves no room for a prompt in model.max_length, "
                f"{model.max_length}; use {model.max_length // 2}, or a larger model.max_length"
            )

    def schema(self) -> pa.Schema:
        return pa.schema([*((name, pa.large_string()) for name in self.texts), ("where", pa.string())])

    def parse(self, record: Record) -> dict[str, Any]:
        columns = self.config.data.columns
        values = {role: first_text(record.get(columns[role], role)) for role in self.texts}
        texts = {role: text_of(value, columns[role], record.where) for role, value in values.items()}
        return texts | {"where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        found = {}
        for role in self.inputs:
            names = (role, self.config.data.columns["text" if self._corpus else role])
            if len(self.inputs) == 1:
                names += ("text",)  # a line of plain text
            column = next((name for name in names if name in record.values), names[1])
            found[role] = text_of(record.get(column, role), column, record.where)
        return found

    def fit(self, splits: Mapping[str, Table]) -> None:
        check_some_text(splits, self.texts[-1])

    def targets(self, table: Table) -> np.ndarray:
        """(texts, 0): rows of the model have targets, rows of the data none."""
        return np.empty((len(table), 0), np.int32)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> NextTokens:
        from kerasft.data.next_tokens import prepare_answers, prepare_documents

        if not self._corpus:
            return prepare_answers(table, preprocessor, self.template.render)
        return prepare_documents(table, preprocessor, self.config.task.packing == "documents")

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.generation import Generator
        from kerasft.models.prompt_preprocessor import prompt_preprocessor

        joined = {} if self._corpus else {"inputs": self.inputs, "join": self.template.join}
        made = prompt_preprocessor(backbone, tokenizer, self.config.model.max_length, **joined)
        self.generator = Generator(backbone, made.detokenizer, made.max_length, self.config.task.decoding)
        return made

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.causal_lm import CausalLM

        return CausalLM(backbone)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        from kerasft.models.causal_lm import causal_lm_loss

        return causal_lm_loss(targets, logits)

    def condense(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        from kerasft.models.causal_lm import condense

        return condense(targets, logits)

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: prompts -> `text` that goes on from each, without it, and `tokens`, how many that is."""
        prompts = features["token_ids"], features["lengths"]
        return self.generator(*prompts, self.generator.wishes(*prompts))

    @property
    def numbers(self) -> dict[str, dict[str, Number]]:
        """The signature `generate`, with wishes as `kerasft.models.generation.Wishes` has them."""
        told = self.config.task.decoding
        return {
            "generate": {
                "max_new_tokens": Number("int32", (told.max_new_tokens, 3, 0, 1)),
                "temperature": Number("float32", (told.temperature, 1.0, 0.0)),
                "top_p": Number("float32", (told.top_p, 0.5)),
                "seed": Number("int64", (told.seed, -1, 7, 2**40, 3)),
            }
        }

    def answer_with(
        self, model: keras.Model, features: Mapping[str, tf.Tensor], numbers: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        from kerasft.models.generation import Wishes

        return self.generator(features["token_ids"], features["lengths"], Wishes(**numbers))

    def sample(self) -> dict[str, str]:
        texts = {"prompt": "a text to go on from", "instruction": "what is to be done", "input": "with which text"}
        return {name: texts[name] for name in self.inputs}

    def metrics(self, split: NextTokens, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.causal_lm_metrics import causal_lm_metrics

        return causal_lm_metrics(split.targets, logits, len(split), split.text_bytes)

    def interval(self, split: NextTokens, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.causal_lm_metrics import perplexity_interval

        found = perplexity_interval(split.targets, logits, split.offsets, self.config.seed)
        return {"metric": self.headline} | found

    def predictions(self, table: Table, split: NextTokens, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """Rows drawn by the seed: the prompt, or a row's first half, what was there behind it, and what is written."""
        from kerasft.evaluation.written_samples import answered, halves, write

        detokenizer = self.generator.detokenizer
        cut = halves if self._corpus else answered
        samples = cut(split, self.config.task.samples, self.config.seed, detokenizer.special)
        for sample, text in zip(samples, write(self.generator, [sample.prompt for sample in samples])):
            yield {"prompt": detokenizer.text(sample.prompt), "truth": detokenizer.text(sample.rest), "text": text}

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return [
            {"text": text.decode("utf-8"), "tokens": count}
            for text, count in zip(outputs["text"].tolist(), outputs["tokens"].tolist())
        ]

    def truth(self, target: np.ndarray) -> str:
        """Ids of one row that follow -> text."""
        return self.generator.detokenizer.text(target.tolist())

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """All samples, right and wrong ones, as a report shows them."""
        return [{"text": row["prompt"], "truth": row["truth"], "prediction": row["text"]} for row in answers]
