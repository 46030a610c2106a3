"""The contract of a way to answer by label texts."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Labels:
    """What is known of labels before any example.

    Attributes:
        names: in the order of logits.
        texts: of each, one or several.
    """

    names: list[str]
    texts: list[list[str]]


class PromptingMethod(abc.ABC):
    """Label texts and a pre-trained model -> a classifier: features of a text -> logits of labels.

    The order of calls: `adapt`, `build`, `preprocessor`, `load` for a preset; without `adapt` and `load` for a model
    that was saved, whose state and weights come from its files.

    Args:
        config: of the run; `prompting` and `model` are read.
        inputs: names of the texts of a row.
        state: JSON-able, saved with the model; `adapt` puts in it what `build` and `preprocessor` need of a tokenizer.

    Attributes:
        name: in the config.
        template: where the config has none.
        added: ids of tokens that the preset has not, those of a soft prompt.
    """

    name: str
    template: str
    added: Sequence[int] = ()

    def __init__(self, config: Config, inputs: Sequence[str], state: dict[str, Any]):
        assert config.prompting is not None  # who makes a method has seen that there is one
        self.config = config
        self.section, self.model, self.inputs, self.state = config.prompting, config.model, tuple(inputs), state

    def adapt(self, backbone: keras.Model, tokenizer: Any, labels: Labels) -> None:
        """Looks at a preset, and keeps in `state` what is needed of it. Raises UserError where labels are one to it."""

    @abc.abstractmethod
    def build(self, backbone: keras.Model, labels: int) -> keras.Model:
        """Backbone -> features -> (batch, labels) float32 logits, the last of them plus `LabelBias`."""

    @abc.abstractmethod
    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        """Strings -> features."""

    @abc.abstractmethod
    def load(self, model: keras.Model, preset: str, preprocessor: Any, labels: Labels) -> None:
        """Gives the new layers their weights, those that label texts stand for among them.

        Args:
            model: of `build`.
            preset: resolved.
            preprocessor: of this method.
            labels: as in `adapt`.
        """

    @abc.abstractmethod
    def set_bias(self, model: keras.Model, bias: np.ndarray) -> None:
        """Gives a model of `build` the (labels,) that is added to its scores."""

    def text_template(self) -> str:
        """That of the config, or the method's own, with a place for each text of a row."""
        own = self.template
        if len(self.inputs) == 2:
            own = own.replace("{text}", "{text} {text_pair}")
        template = self.section.template or own
        assert isinstance(template, str)  # several are for another method
        return template
