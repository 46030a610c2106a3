"""The sections `output` and `export`: where what a run makes lands."""

from typing import Optional

from pydantic import Field

from kerasft.config.section import Folder, Section


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
