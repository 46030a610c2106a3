"""What tasks that write texts have in common: how rows are read, figures of tokens, answers and their numbers."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.seq2seq import Seq2SeqConfig
from kerasft.config.text_generation import DecodingConfig, TextGenerationConfig
from kerasft.data.quality.folding import folded
from kerasft.errors import UserError
from kerasft.tasks.base import Dialogue, Number, Task
from kerasft.tasks.generation.mode import Mode

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.inputs_outputs import InputsOutputs
    from kerasft.data.prepared.next_tokens import NextTokens
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table
    from kerasft.models.generation.decoder import Decoder
    from kerasft.models.generation.generator import Generator
    from kerasft.models.tokenizers.detokenizer import Detokenizer

WritingT = TypeVar("WritingT", bound=TextGenerationConfig | Seq2SeqConfig)
TokensT = TypeVar("TokensT", bound="NextTokens | InputsOutputs")


class WritesTexts(Task[WritingT, TokensT]):
    """The part of the contract that is alike for all tasks that write.

    Attributes:
        mode: how records are read.
    """

    headline = "perplexity"
    rising = ("accuracy",)
    falling = ("perplexity", "log_loss", "bits_per_byte")
    needs_training = False  # the output layer is the model's own
    writes = True
    cuts_texts = False
    one_answer = False  # a text can be translated, summed up or answered in several ways

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.mode = self.choose_mode()
        self.columns, self.inputs = self.mode.columns, self.mode.inputs
        self.may_be_empty, self.checks = self.mode.may_be_empty, self.mode.checks
        self._generator: Generator | None = None

    @abc.abstractmethod
    def choose_mode(self) -> Mode:
        """How records are read, by the config."""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.mode.texts

    @property
    def source_texts(self) -> tuple[str, ...]:
        return self.mode.source_texts

    def row_answers(self, table: Table) -> list[str] | None:
        outputs = [name for name in self.texts if name not in self.source_texts]
        return [folded(text) for text in table.column(outputs[0])] if outputs else None

    @property
    def dialogue(self) -> Dialogue | None:
        return self.mode.dialogue

    @property
    def generator(self) -> Generator:
        if self._generator is None:
            raise RuntimeError("there is no generator before the preprocessor is built")
        return self._generator

    def check_config(self) -> None:
        from kerasft.models.constraints.language import constraint_automaton

        super().check_config()
        self.mode.check()
        constraint = self.section.decoding.constraint
        if constraint is not None and constraint.choices and self.encoder_decoder:
            raise UserError(
                f"task.decoding.constraint.choices: options stand in a prompt, which {self.config.task.name} does not "
                "go on from; use labels: [A, B, C, D]"
            )
        if constraint is not None and not constraint.choices:
            constraint_automaton(constraint)

    def make_generator(self, decoder: Decoder, detokenizer: Detokenizer, stops: Sequence[str] = ()) -> None:
        """Makes `generator`. Raises UserError where a model's tokens can't write what answers are held to.

        Args:
            decoder: how the model reads.
            detokenizer: of its tokenizer.
            stops: texts that an answer ends before, beside those of the config; not where it is held to something.
        """
        from kerasft.models.constraints.language import constraint_tokens
        from kerasft.models.generation.choices import Choices
        from kerasft.models.generation.constraint import Constraint
        from kerasft.models.generation.generator import Generator

        decoding, constraint = self.section.decoding, None
        if decoding.constraint is None:
            decoding = decoding.model_copy(update={"stop": [*decoding.stop, *stops]})
        elif decoding.constraint.choices:
            constraint = Choices(detokenizer)
        else:
            spelling = detokenizer.token_bytes, detokenizer.ordinary, detokenizer.opening
            held = constraint_tokens(decoding.constraint, *spelling, decoding.max_new_tokens)
            constraint = Constraint(held, detokenizer)
        self._generator = Generator(decoder, detokenizer, decoding, constraint)

    def schema(self) -> pa.Schema:
        return self.mode.schema()

    def parse(self, record: Record) -> dict[str, Any]:
        return self.mode.parse(record)

    def parse_inputs(self, record: Record) -> dict[str, str]:
        return self.mode.parse_inputs(record)

    def fit(self, splits: Mapping[str, Table]) -> None:
        self.mode.fit(splits)

    def data_warnings(self) -> list[str]:
        return self.mode.data_warnings()

    def condense(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.causal_lm import condense

        return condense(targets, logits)

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: what is given -> `text` that is written, without it, and `tokens`, how many that is."""
        return self.generator(features, self.generator.sampling_params(features))

    def join(self, members: Sequence[Task], weights: Sequence[float]) -> None:
        from kerasft.models.generation.joined_decoder import JoinedDecoder

        writing = [each for each in members if isinstance(each, WritesTexts)]
        first = writing[0]
        stops = first.generator.decoding.stop[len(first.section.decoding.stop) :]  # those of the mode
        decoder = JoinedDecoder([each.generator.decoder for each in writing], weights)
        self.make_generator(decoder, first.generator.detokenizer, stops)

    @property
    def numbers(self) -> dict[str, dict[str, Number]]:
        return request_numbers(self.section.decoding)

    def answer_with(
        self, model: keras.Model, features: Mapping[str, tf.Tensor], numbers: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        return self.generator(features, self.generator.sampling_params(features)._replace(**numbers))

    def metrics(self, split: TokensT, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.causal_lm_metrics import causal_lm_metrics

        return causal_lm_metrics(split.targets, logits, len(split), split.text_bytes)

    def interval(self, split: TokensT, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.causal_lm_metrics import perplexity_interval

        interval = perplexity_interval(split.targets, logits, split.offsets, self.config.seed)
        return {"metric": self.headline} | interval

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return text_rows(outputs)

    def truth(self, target: np.ndarray) -> str:
        """Ids of one row that follow -> text."""
        return self.generator.detokenizer.text(target.tolist())


def request_numbers(decoding: DecodingConfig) -> dict[str, dict[str, Number]]:
    """The signature `generate`, with `SamplingParams`; beams draw nothing."""
    limit = {"max_new_tokens": Number("int32", (decoding.max_new_tokens, 3, 0, 1))}
    if decoding.beams > 1:
        return {"generate": limit}
    return {
        "generate": {
            **limit,
            "temperature": Number("float32", (decoding.temperature, 1.0, 0.0)),
            "top_p": Number("float32", (decoding.top_p, 0.5)),
            "seed": Number("int64", (decoding.seed, -1, 7, 2**40, 3)),
        }
    }


def text_rows(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """What a generator answers -> a JSON-able row of each."""
    return [
        {"text": text.decode("utf-8"), "tokens": count}
        for text, count in zip(outputs["text"].tolist(), outputs["tokens"].tolist())
    ]


def drawn_samples(answers: list[dict[str, Any]], input_name: str, most: int, seed: int) -> list[dict[str, Any]]:
    """Rows of `predictions` drawn by the seed, right and wrong ones, as a report shows them.

    Args:
        answers: with `truth` and `text`.
        input_name: the key of what was to be answered.
        most: rows.
        seed: of the draw.
    """
    indices = np.random.default_rng(seed).permutation(len(answers))[:most]
    rows = [answers[row] for row in np.sort(indices)]
    return [{"text": row[input_name], "truth": row["truth"], "prediction": row["text"]} for row in rows]
