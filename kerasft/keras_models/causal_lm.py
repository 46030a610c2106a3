"""A decoder learns from plain text, prompts with answers, or dialogues, and writes on."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.keras_models.base import TaskModel
from kerasft.keras_models.writing import written


@keras.saving.register_keras_serializable(package="kerasft")
class CausalLM(TaskModel):
    """The text that follows a prompt.

        >>> model = kerasft.CausalLM.from_preset(preset, decoding={"max_new_tokens": 4})
        >>> history = model.fit(["the quick brown fox", "the lazy dog"], verbose=0)
        >>> isinstance(model.generate("the quick", max_new_tokens=2), str)
        True

    The option `mode` says what it learns from. `corpus`: texts. `prompt_completion`: prompts as texts and answers as
    labels; with `instructions=True` the prompts are dicts of `instruction` and `input`. `chat`: dialogues as texts,
    each a list of {role, content}. Other options: `decoding`, `packing`, `template`, `chat`.

    `predict` answers {text, tokens}: the generated text, without the prompt, and its number of tokens. The prompt of a
    `chat` model is a dialogue as one text.
    """

    task_name = "text_generation"
    label_role = "output"

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        instruction = ("instruction",) if options.pop("instructions", False) else ()
        mode = options.get("mode", "corpus")
        return {"corpus": ("text",), "chat": ("messages",)}.get(mode, (*instruction, "input", "output"))

    def generate(
        self,
        prompts: Any,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """What follows each prompt, without it: a list, or of one string one string.

        Args:
            prompts: strings; with several columns as `fit` takes texts.
            max_new_tokens: at most; None: as `decoding` says, like all that follow.
            temperature: 0: always the likeliest token.
            top_p: draw among the likeliest tokens that together have this probability.
            seed: of what is drawn.
        """
        wishes = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
        return written(self, prompts, wishes)
