"""The sections `output` and `export`: where what a run makes lands."""

from typing import Literal

from pydantic import Field, field_validator

from kerasft.config.section import Folder, Section

SAVED_MODEL = "saved_model"


class OutputConfig(Section):
    """Where runs are written: DIR/NAME."""

    dir: Folder = Field("runs", description="The folder of run folders; ~ is the home folder.")


class ExportConfig(Section):
    """Where SavedModels are written: DIR/NAME/VERSION."""

    dir: Folder = Field("saved_models", description="The folder of exported models; ~ is the home folder.")
    enabled: bool = Field(True, description="Whether training ends with an export.")
    formats: list[Literal["saved_model", "litert", "huggingface", "gguf"]] = Field(
        ["saved_model"],
        min_length=1,
        description="What an export has: saved_model, a version for TensorFlow Serving, and beside the versions "
        "litert (8 bits, fast on a CPU), huggingface (safetensors that transformers loads) and gguf (a Llama for "
        "llama.cpp), a folder of that name each.",
    )

    @field_validator("formats")
    @classmethod
    def _with_saved_model(cls, value: list[str]) -> list[str]:
        if SAVED_MODEL not in value or len(set(value)) < len(value):
            raise ValueError(f"{value} needs saved_model, and each form once; write for example [saved_model, litert]")
        return value
