"""Text generation: a decoder learns from plain text, prompts with answers or dialogues, and writes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.text_generation import TextGenerationConfig
from kerasft.errors import UserError
from kerasft.models.preprocessing.chat_template import Message
from kerasft.tasks.generation.mode import Mode
from kerasft.tasks.generation.written_texts import WritesTexts, drawn_samples
from kerasft.tasks.text_generation.kind import ANSWERS, CORPUS
from kerasft.tasks.text_generation.rows import MODES

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kerasft.data.prepared.next_tokens import NextTokens
    from kerasft.data.tables.table import Table


class TextGeneration(WritesTexts[TextGenerationConfig, "NextTokens"]):
    """The task by the contract; a row of the data is a text, a prompt with its answer, or a dialogue."""

    likelihood = "causal"
    explains = True
    pipeline = "text-generation"
    section_class = TextGenerationConfig
    one_of_many = True
    augmentable = False
    peft_type = "CAUSAL_LM"

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self._corpus = self.section.mode == "corpus"
        self.kind = CORPUS if self._corpus else ANSWERS
        self.measures_answers = not self._corpus

    def choose_mode(self) -> Mode:
        return MODES[self.section.mode](self.config, self.section)

    def check_config(self) -> None:
        super().check_config()
        model, max_new_tokens = self.config.model, self.section.decoding.max_new_tokens
        if model.architecture is not None and model.architecture.family != "gpt2":
            raise UserError(
                f"model.architecture.family: a {model.architecture.family} does not write texts; set it to gpt2"
            )
        if max_new_tokens >= model.max_length:
            raise UserError(
                f"task.decoding.max_new_tokens: {max_new_tokens} leaves no room for a prompt in model.max_length, "
                f"{model.max_length}; use {model.max_length // 2}, or a larger model.max_length"
            )

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> NextTokens:
        return self.mode.prepare(table, preprocessor)

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.generation.cached_decoder import CausalDecoder
        from kerasft.models.preprocessing.prompt_preprocessor import prompt_preprocessor

        preprocessor = prompt_preprocessor(backbone, tokenizer, self.config.model.max_length, **self.mode.joined())
        stops = self.mode.stops(preprocessor.detokenizer.special_tokens)
        self.make_generator(CausalDecoder(backbone, preprocessor.max_length), preprocessor.detokenizer, stops)
        return preprocessor

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.causal_lm import CausalLM

        return CausalLM(backbone)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.causal_lm import causal_lm_loss

        return causal_lm_loss(targets, logits)

    def sample(self) -> dict[str, str]:
        texts = {"prompt": "a text to go on from", "instruction": "what is to be done", "input": "with which text"}
        if dialogue := self.dialogue:
            texts["prompt"] = dialogue.template.prompt([Message(dialogue.user, "a question")])
        return {name: texts[name] for name in self.inputs}

    def predictions(self, table: Table, split: NextTokens, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """Rows drawn by the seed: the prompt, or a row's first half, what was there behind it, and what is written."""
        from kerasft.evaluation.written_samples import answered, halves, write

        detokenizer = self.generator.detokenizer
        cut, most = halves, self.section.samples
        if not self._corpus:
            cut, most = answered, max(most, self.section.measured_answers)
        samples = cut(split, most, self.config.seed, detokenizer.special)
        for sample, text in zip(samples, write(self.generator, [sample.prompt for sample in samples])):
            special = detokenizer.special[sample.prompt]
            truth = self.mode.without_end(detokenizer.text(sample.rest, opens=bool(special.all())))
            yield {"prompt": detokenizer.text(sample.prompt, opens=bool(special[0])), "truth": truth, "text": text}

    def answer_metrics(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        from kerasft.evaluation.text_scores import text_scores

        if self._corpus:
            return {}
        return text_scores([row["truth"] for row in answers], [row["text"] for row in answers])

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return drawn_samples(answers, "prompt", self.section.samples, self.config.seed)
