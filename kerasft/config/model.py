"""The section `model` of a config: the backbone, and which of its weights are trained."""

from typing import Annotated, Any, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.architecture import ArchitectureConfig
from kerasft.config.peft import PeftConfig
from kerasft.config.section import Section


class ModelConfig(Section):
    """The backbone that is fine-tuned."""

    preset: Optional[str] = Field(
        description="pypi:NAME==VERSION/FOLDER[#sha256=HEX], hf:OWNER/NAME, kaggle:HANDLE, run:DIR, gguf:FILE or a "
        "local folder; null: model.architecture, from scratch."
    )
    architecture: Optional[ArchitectureConfig] = None
    max_length: int = Field(
        128,
        ge=4,
        description="Longer texts are cut to this many tokens, special tokens included; the default is never more "
        "than the positions of the preset.",
    )
    dropout: Optional[float] = Field(None, ge=0, lt=1, description="Dropout rate everywhere; null: the preset's own.")
    layers: Union[None, Annotated[int, Field(ge=1)], Annotated[list[int], Field(min_length=1)]] = Field(
        None,
        description="How many of the preset's transformer layers the model has, spread evenly from bottom to top, or "
        "which of them (0 is the lowest); null: all.",
    )
    trainable: str = Field(
        "all",
        pattern=r"^(all|head|last_[1-9][0-9]*_layers)$",
        description="Which weights are updated: all, head, or last_N_layers.",
    )
    peft: Optional[PeftConfig] = Field(
        None,
        description="Train only a few weights, added to a frozen backbone or part of it; null: the weights that "
        "trainable names.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_long_as_positions(cls, values: Any) -> Any:
        """The default of max_length is no more than the positions of an architecture."""
        architecture = values.get("architecture") if isinstance(values, dict) else None
        positions = architecture.get("positions") if isinstance(architecture, dict) else None
        if isinstance(positions, int) and "max_length" not in values:
            values = {**values, "max_length": min(positions, cls.model_fields["max_length"].default)}
        return values

    @model_validator(mode="after")
    def _one_start(self) -> "ModelConfig":
        if (self.preset is None) == (self.architecture is None):
            state = "null" if self.preset is None else "set"
            raise ValueError(f"preset and architecture are both {state}; give one and leave the other null")
        positions = self.architecture and self.architecture.positions
        if positions and positions < self.max_length:
            raise ValueError(
                f"architecture.positions: {positions} is less than max_length, {self.max_length}; use that or more"
            )
        return self

    @model_validator(mode="after")
    def _layers_of_a_preset(self) -> "ModelConfig":
        if self.layers is not None and self.preset is None:
            raise ValueError("layers: chooses layers of a preset; without one set architecture.layers instead")
        if isinstance(self.layers, list) and (min(self.layers) < 0 or sorted(set(self.layers)) != self.layers):
            raise ValueError(f"layers: {self.layers} are not in order, each once; write for example [1, 3, 5]")
        return self

    @model_validator(mode="after")
    def _one_choice_of_weights(self) -> "ModelConfig":
        if self.peft is None:
            return self
        if self.trainable != "all":
            raise ValueError(
                f"peft and trainable: {self.trainable} both say which weights are updated; keep one (peft.layers says "
                "which layers)"
            )
        if self.preset is None:
            raise ValueError(
                f"peft: {self.peft.method} leaves the backbone as it is, and one of model.architecture has random "
                "weights; name a preset, or set peft: null"
            )
        return self
