"""The sections `output` and `export`: where what a run makes lands, and what is exported."""

from typing import Literal, Optional

from pydantic import Field, field_validator, model_validator

from kerasft.config.section import Folder, Section

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a run and of a served model
SAVED_MODEL = "saved_model"


class OutputConfig(Section):
    """Where runs are written: DIR/NAME."""

    dir: Folder = Field("runs", description="The folder of run folders; ~ is the home folder.")


class ExportConfig(Section):
    """Where SavedModels are written: DIR/NAME/VERSION."""

    name: Optional[str] = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="NAME, which the served model has; null: that of the run. Runs with one NAME are versions of it.",
    )
    dir: Folder = Field("saved_models", description="The folder of exported models; ~ is the home folder.")
    enabled: bool = Field(True, description="Whether training ends with an export.")
    adapters: Optional[dict[str, str]] = Field(
        None,
        min_length=1,
        description="Names and runs of model.peft of one base, run:DIR each, which are exported as one SavedModel; "
        "null: the run itself.",
    )
    formats: list[Literal["saved_model", "litert", "onnx", "huggingface", "gguf"]] = Field(
        ["saved_model"],
        min_length=1,
        description="What an export has: saved_model, a version for TensorFlow Serving, and beside the versions "
        "litert (8 bits, fast on a CPU), onnx (float32, for ONNX Runtime), huggingface (safetensors that transformers "
        "loads) and gguf (a Llama for llama.cpp), a folder of that name each.",
    )

    explain: Optional[Literal["gradient_times_input", "integrated_gradients"]] = Field(
        None,
        description="A signature `explain` in the export: what each token adds to the logit of the label; for "
        "text_classification with one label. null: none.",
    )

    labels: bool = Field(
        False,
        description="A signature `labels` in the export: each request names the labels that it is answered by; for "
        "prompting.method embedding.",
    )

    @field_validator("formats")
    @classmethod
    def _with_saved_model(cls, value: list[str]) -> list[str]:
        if SAVED_MODEL not in value or len(set(value)) < len(value):
            raise ValueError(f"{value} needs saved_model, and each form once; write for example [saved_model, litert]")
        return value

    @model_validator(mode="after")
    def _adapters_as_saved_model(self) -> "ExportConfig":
        if self.adapters and self.formats != [SAVED_MODEL]:
            raise ValueError(f"formats: {self.formats}, but export.adapters are one SavedModel; leave formats out")
        if self.adapters and self.explain:
            raise ValueError(f"explain: {self.explain}, but export.adapters have no such signature; leave it out")
        if self.adapters and self.labels:
            raise ValueError("labels: true, but export.adapters have no such signature; leave it out")
        return self


class AdaptersFile(Section):
    """A config that trains nothing: adapters of runs, which `kerasft export` exports together."""

    name: str = Field(pattern=NAME, max_length=200, description="Names the served model.")
    export: ExportConfig
