"""An encoder learns a language, or that of a domain, from plain text, and fills in what is hidden."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.keras_models.base import TaskModel


@keras.saving.register_keras_serializable(package="kerasft")
class MaskedLM(TaskModel):
    """The tokens that fit in place of the mask tokens of a text.

        >>> model = kerasft.MaskedLM.from_preset(preset)
        >>> history = model.fit(["the goal of the team", "the price of a stock"], verbose=0)
        >>> len(model.predict(["the [MASK] of the team"])[0]["masks"])
        1

    It learns from texts alone, without labels. They fill rows, one after the other (the option `packing`), and each
    epoch hides other tokens (`mask_probability`, `whole_word`). An answer is {text, masks: [{fills: [{token, score},
    ...]}, ...]}; the option `top` is the number of tokens.
    """

    task_name = "masked_lm"
    label_role = None

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        return ("text",)
