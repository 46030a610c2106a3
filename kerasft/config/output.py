"""The sections `output` and `export`: where what a run makes lands, and what is exported."""

from typing import Optional

from pydantic import Field

from kerasft.config.section import Folder, Section

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a run and of a served model


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


class AdaptersFile(Section):
    """A config that trains nothing: adapters of runs, which `kerasft export` exports together."""

    name: str = Field(pattern=NAME, max_length=200, description="Names the served model.")
    export: ExportConfig
