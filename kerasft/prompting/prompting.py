"""What a task has of prompting: the method that its config names, with its labels and its calibration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from kerasft.config.peft_rows import PROMPT_IDS
from kerasft.config.prompting import KEYS, answers_untrained
from kerasft.config.schema import Config
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError
from kerasft.models.presets.presets import resolve_preset
from kerasft.prompting.base import Labels, PromptingMethod
from kerasft.prompting.registry import make_method, suitable_method
from kerasft.prompting.templates import label_texts

if TYPE_CHECKING:
    import keras

MOST_UNLABELLED = 2000  # texts that a prior is made of: their mean is then known to a few percent
KEY = "prompting"  # of the task's state


class LabelTexts(Protocol):
    """A task's section, of which prompting reads names and texts of labels."""

    @property
    def labels(self) -> list[str] | None: ...

    @property
    def label_texts(self) -> Mapping[str, str | list[str]] | None: ...


class Prompting:
    """Prompting of a text classifier, in the order in which a model is assembled.

    Args:
        config: of the run, with a section `prompting`.
        inputs: names of the texts of a row.
        state: of the task; `labels` are in it from the start where the config names them, and under KEY what the
            method keeps of a preset.
    """

    def __init__(self, config: Config, inputs: Sequence[str], state: dict[str, Any]):
        self.config, self.inputs, self.state = config, list(inputs), state
        self.section = cast(LabelTexts, config.task)  # of a task that fits a head: no other has prompting
        if self.section.labels is not None:
            state.setdefault("labels", list(self.section.labels))
            self.labels()  # texts of theirs that can't be told apart are found now
        self._made: Any = None

    @classmethod
    def of(cls, config: Config, inputs: Sequence[str], state: dict[str, Any]) -> Prompting | None:
        """None where the config asks for none."""
        return None if config.prompting is None else cls(config, inputs, state)

    def labels(self) -> Labels:
        """Names and texts."""
        names = self.state["labels"]
        return Labels(names, label_texts(names, self.section.label_texts))

    def method(self) -> PromptingMethod:
        """That of the state."""
        kept = self.state[KEY]
        method = make_method(self.config, self.inputs, kept, kept["method"])
        method.added = self.state.get(PROMPT_IDS, ())
        return method

    def adapt(self, backbone: keras.Model, tokenizer: Any) -> None:
        """Chooses the method for a preset, and lets it look at the tokenizer."""
        assert self.config.model.preset is not None and self.config.prompting is not None  # checked before
        name = suitable_method(self.config, backbone, resolve_preset(self.config.model.preset))
        if name in ("causal_lm", "entailment") and not answers_untrained(self.config):
            raise UserError(
                f"prompting.method: auto takes {name} for this "
                + (
                    "decoder, which answers without training; leave data.train out, set method to causal_lm and "
                    "demonstrations, or set prompting to null"
                    if name == "causal_lm"
                    else "run of pairs, which answers without training; leave data.train out, or set prompting to null"
                )
            )
        section = self.config.prompting
        for key, methods in KEYS.items():
            value = getattr(section, key)
            if name not in methods and value != type(section).model_fields[key].default:
                raise UserError(
                    f"prompting.{key}: {value} is for method {' or '.join(methods)}, and auto takes {name} for this "
                    "preset; leave it out"
                )
        if self.config.export.labels and name != "embedding":
            raise UserError(
                f"export.labels: true is for prompting.method embedding, and auto takes {name} for this preset; set "
                "it to false"
            )
        if self.config.training.fit_head and name != "embedding":
            raise UserError(
                f"training.fit_head: true fits the head of prompting.method embedding, and auto takes {name} for this "
                "preset; set it to false"
            )
        self.state[KEY] = {"method": name}
        self.method().adapt(backbone, tokenizer, self.labels())

    def build(self, backbone: keras.Model) -> keras.Model:
        """The classifier."""
        return self.method().build(backbone, len(self.state["labels"]))

    def labels_signature(self, model: keras.Model, preprocessor: Any) -> Any:
        """In graph: what an export answers by labels of a request; see `LabelsSignature`."""
        from kerasft.prompting.served_labels import LabelsSignature

        return LabelsSignature(cast(Any, self.method()), model, preprocessor)

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        """Strings -> features; it is kept for `load`, which follows."""
        self._made = self.method().preprocessor(backbone, tokenizer)
        return self._made

    def load(self, model: keras.Model, preset: str) -> None:
        """Weights of a new model, and the bias that calibrates it."""
        from kerasft.prompting.calibration import calibrate
        from kerasft.prompting.scoring import outputs_of

        method, section = self.method(), self.config.prompting
        assert section is not None
        method.load(model, preset, self._made, self.labels())
        if section.calibration == "none":
            return
        texts = section.content_free if section.calibration == "content_free" else self._unlabelled()

        def scores_of(texts: Sequence[str]) -> Any:
            columns = dict.fromkeys(self.inputs, texts)
            return outputs_of(model, self._made, columns)

        method.set_bias(model, calibrate(scores_of, texts, section.calibration == "prior"))

    def _unlabelled(self) -> list[str]:
        """The first texts of `prompting.unlabelled`."""
        data, section = self.config.data, self.config.prompting
        assert section is not None and section.unlabelled is not None  # calibration prior has some
        if len(self.inputs) > 1:
            raise UserError("prompting.calibration: prior is for one text a row; take content_free")
        (name,) = self.inputs
        column = data.columns.get(name, name)
        records = itertools.islice(read_records(section.unlabelled, data.format, Reading.of(data)), MOST_UNLABELLED)
        texts = [str(record.get(column if column in record.values else name, name)) for record in records]
        if not texts:
            raise UserError(f"prompting.unlabelled: {section.unlabelled} has no rows; name a file with some")
        return texts
