"""The sections `output` and `export`: where what a run makes lands."""

from pydantic import Field

from kerasft.config.section import Folder, Section


class OutputConfig(Section):
    """Where runs are written: DIR/NAME."""

    dir: Folder = Field("runs", description="The folder of run folders; ~ is the home folder.")


class ExportConfig(Section):
    """Where SavedModels are written: DIR/NAME/VERSION."""

    dir: Folder = Field("saved_models", description="The folder of exported models; ~ is the home folder.")
    enabled: bool = Field(True, description="Whether training ends with an export.")
