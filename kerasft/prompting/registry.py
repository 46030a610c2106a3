"""Which class is which `prompting.method`, and which one suits a preset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.models.presets.facts import facts_file
from kerasft.prompting.base import PromptingMethod

if TYPE_CHECKING:
    import keras

METHODS = ("embedding", "masked_lm", "causal_lm", "entailment")


def make_method(config: Config, inputs: Sequence[str], state: dict[str, Any], name: str) -> PromptingMethod:
    """The method of a name; arguments are those of `PromptingMethod`."""
    from kerasft.prompting.causal_lm import Continuation
    from kerasft.prompting.embedding import Embedding
    from kerasft.prompting.entailment import Entailment
    from kerasft.prompting.masked_lm import Cloze

    every: tuple[type[PromptingMethod], ...] = (Embedding, Cloze, Continuation, Entailment)
    return {method.name: method for method in every}[name](config, inputs, state)


def suitable_method(config: Config, backbone: keras.Model, preset: str) -> str:
    """What `prompting.method: auto` stands for: what the preset was made for.

    Args:
        config: `prompting` is read.
        backbone: of the preset.
        preset: resolved.
    """
    from kerasft.models.families import is_decoder

    assert config.prompting is not None
    if config.prompting.method != "auto":
        return config.prompting.method
    if is_decoder(backbone):
        return "causal_lm"
    template = str(config.prompting.template)
    facts = facts_file(Path(preset))
    said = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    made_for = said.get("task")
    if made_for == "text_classification" and config.prompting.entails in said.get("state", {}).get("labels", ()):
        return "entailment"
    return "masked_lm" if made_for == "masked_lm" or "{mask}" in template else "embedding"
