"""The sections `output` and `export`: where what a run makes lands."""

from typing import Literal, Optional

from pydantic import Field

from kerasft.config.section import Folder, Section


class OutputConfig(Section):
    """Where runs are written: DIR/NAME."""

    dir: Folder = Field("runs", description="The folder of run folders; ~ is the home folder.")


class ExportConfig(Section):
    """Where SavedModels are written: DIR/NAME/VERSION."""

    dir: Folder = Field("saved_models", description="The folder of exported models; ~ is the home folder.")
    enabled: bool = Field(True, description="Whether training ends with an export.")
    explain: Optional[Literal["gradient_times_input", "integrated_gradients"]] = Field(
        None,
        description="A signature `explain` in the export: what each token adds to the logit of the label; for "
        "text_classification with one label. null: none.",
    )
