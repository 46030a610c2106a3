"""An encoder with a decoder writes one text from another: translations, summaries, answers."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.keras_models.base import TaskModel
from kerasft.keras_models.writing import written


@keras.saving.register_keras_serializable(package="kerasft")
class Seq2SeqLM(TaskModel):
    """A text that is written from another, such as a translation or a summary.

        >>> model = kerasft.Seq2SeqLM.from_preset(preset, decoding={"max_new_tokens": 4})
        >>> history = model.fit(["the quick brown fox", "the lazy dog"], ["a fox", "a dog"], verbose=0)
        >>> isinstance(model.generate("the quick cat", max_new_tokens=2), str)
        True

    Texts are inputs, and labels the outputs. With `instructions=True` texts are dicts of `instruction` and `input`.
    Other options: `max_output_length`, `decoding`, `template`. `predict` answers {text, tokens}.
    """

    task_name = "seq2seq"
    label_role = "output"

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        instruction = ("instruction",) if options.pop("instructions", False) else ()
        return (*instruction, "input", "output")

    def generate(
        self,
        inputs: Any,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """What is written from each input; arguments of `CausalLM.generate`."""
        wishes = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
        return written(self, inputs, wishes)
